"""The published models of Chatterbox, and the files that each needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from tts_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Model:
    """A published model.

    Parameters
    ----------
    name
        What `--model` calls it.
    repo
        Its repository on the hub.
    t3
        The file name of its T3.
    """

    name: str
    repo: str
    t3: str

    def missing(self, folder: Path, *, voice_caching: bool = False) -> list[str]:
        """Names of the files that are needed and not in `folder`.

        `conds.pt`, the voice that comes with the weights, is not needed, because there may be cached voices.

        Parameters
        ----------
        folder
            The folder with the weights.
        voice_caching
            Whether files for making voices are needed, too.
        """
        needed = [self.t3, "s3gen_meanflow.safetensors"]
        if voice_caching:
            needed.append("ve.safetensors")
        if not (folder / "tokenizer.json").is_file():  # it contains what these two contain
            needed += ["vocab.json", "merges.txt"]
        return [name for name in needed if not (folder / name).is_file()]


ModelName = Literal["turbo", "nano"]
DEFAULT: Final = "turbo"
MODELS: Final = {
    name: Model(name, f"ResembleAI/chatterbox-{name}", f"t3_{name}_v1.safetensors") for name in get_args(ModelName)
}


def find_model(name: str) -> Model:
    """The model called `name`. Raises `UsageError` if there is none.

    Examples
    --------
    >>> find_model("nano").repo
    'ResembleAI/chatterbox-nano'
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"no model is called '{name}'", f"choose one of: {', '.join(MODELS)}") from None
