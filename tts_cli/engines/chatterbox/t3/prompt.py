"""Turns text into what T3 reads: punctuation that T3 knows, and then GPT-2 tokens.

Both steps give what chatterbox-tts 0.1.7 gives (`punc_norm` in `tts_turbo.py`, and transformers' tokenizer with the
folder's files) without importing them. They need only the `tokenizers` library, which loads in milliseconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tts_cli.engines.chatterbox.weights.config import TEXT_VOCABULARY
from tts_cli.errors import MissingError, ModelError
from tts_cli.segment import Ending

_REPLACED: Final = str.maketrans({"…": ", ", ":": ",", "—": "-", "–": "-", "“": '"', "”": '"', "‘": "'", "’": "'"})
_ENDINGS: Final = (".", "!", "?", "-", ",")
_CLAUSE_MARKS: Final = " ;，、；：،؛"
"""Marks after which a sentence can be cut, and which upstream's punctuation does not turn into a comma."""
_END_OF_TEXT: Final = "<|endoftext|>"
_TOKENIZER: Final = "tokenizer.json"
_ADDED_TOKENS: Final = "added_tokens.json"


def normalise(text: str, ending: Ending = "sentence") -> str:
    """Give `text` a capital first letter, single spaces, plain punctuation and a final mark. Tags stay.

    The model always reads a final mark. Where there is none, upstream adds a full stop; here it is a comma if the
    sentence goes on after the text.

    Parameters
    ----------
    text
        The text of a segment. The empty string stays empty; upstream would replace it by a sentence.
    ending
        How the text ends: whether the sentence is complete, or goes on in the next segment.
    """
    if not text:
        return ""
    if text[0].islower():
        text = text[0].upper() + text[1:]
    text = " ".join(text.split()).translate(_REPLACED).replace(" ,", ",").rstrip(" ")
    if text.endswith(_ENDINGS):
        return text
    return text.rstrip(_CLAUSE_MARKS) + "," if ending in ("clause", "cut") else text + "."


class TextTokenizer:
    """GPT-2's byte-level BPE with the model's added tokens (`[laugh]`, …).

    Parameters
    ----------
    folder
        Holds the tokenizer's files.
    tokens
        How many text tokens T3 knows.

    Raises
    ------
    MissingError
        If there are no files, or the file that lists the added tokens is missing. Without it, tags would be spelled.
    ModelError
        If files are damaged, or list another number of tokens.
    """

    def __init__(self, folder: Path, tokens: int = TEXT_VOCABULARY) -> None:
        try:
            self._tokenizer = _read(folder)
        except FileNotFoundError as error:
            raise MissingError(
                f"the tokenizer's files are not in {folder}", "fetch them with: tts model pull"
            ) from error
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"the tokenizer's files in {folder} are damaged: {error}") from error
        listed = self._tokenizer.get_vocab_size()
        if listed == tokens:
            return
        if listed < tokens and not any((folder / name).exists() for name in (_ADDED_TOKENS, _TOKENIZER)):
            raise MissingError(
                f"{_ADDED_TOKENS}, which lists [laugh] and the other tags, is not in {folder}",
                "fetch it with: tts model pull",
            )
        file = _TOKENIZER if (folder / _TOKENIZER).exists() else _ADDED_TOKENS
        raise ModelError(
            f"the tokenizer's files in {folder} list {listed} text tokens, and T3 knows {tokens}",
            f"{file} may be another model's: fetch it again with: tts model pull",
        )

    def encode(self, text: str) -> list[int]:
        """The text tokens of `text`."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _read(folder: Path) -> Tokenizer:
    config = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    if (folder / _TOKENIZER).exists():
        tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        tokenizer.no_truncation()
        tokenizer.no_padding()
    else:
        vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
        for file in (vocabulary, merges):
            if not file.exists():
                raise FileNotFoundError(file)
        tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges)))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space")))
        tokenizer.decoder = decoders.ByteLevel()
    for index, token in sorted(_added(folder, config).items()):
        tokenizer.add_tokens([token])
        if tokenizer.token_to_id(token.content) != index:
            raise ModelError(f"the tokenizer's files in {folder} are damaged: {token.content!r} is not {index}")
    if tokenizer.token_to_id(_END_OF_TEXT) is not None:
        tokenizer.add_special_tokens([_END_OF_TEXT])
    return tokenizer


def _added(folder: Path, config: dict[str, Any]) -> dict[int, AddedToken]:
    """The tokens that are not GPT-2's, by id, from the configuration or, in older folders, a file of their own."""
    if "added_tokens_decoder" in config:
        return {int(index): AddedToken(**fields) for index, fields in config["added_tokens_decoder"].items()}
    file = folder / _ADDED_TOKENS
    tokens = _json(file) if file.exists() else {}
    return {index: AddedToken(content, normalized=True) for content, index in tokens.items()}


def _json(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"{file.name} holds no JSON object")
    return content
