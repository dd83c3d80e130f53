"""The commands that are swept: how each is called, where it writes, and what it may leave there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the suite's loudspeaker and hub

if TYPE_CHECKING:
    from tests.loudspeaker import Recording

TEXT = (
    "The harbour was quiet when the first boats came in. Gulls circled above the fish market, and two children counted "
    "the crates. On the quay an old man mended his nets; he had done so every morning for forty years. Nobody hurried."
)
SHORT = "Hello, world."
VOICE = {"qb.json", "qb.t3.safetensors", "qb.flow.safetensors", "qb.pt"}


@dataclass(frozen=True)
class Case:
    """A command that is run again and again, each time in a folder of its own."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    damage: Callable[[Path], str] = lambda _: ""
    """What is wrong with the results in a folder; empty if they are complete or not there."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """The files that the folder has at the start, by name."""
    unfinished: tuple[str, ...] = ("*.part",)
    """Patterns of files that only `kill -9` may leave, until the next run removes them."""
    continued: tuple[str, ...] = ()
    """Patterns of files that any signal may leave, because the next run continues with them."""
    recording: Recording | None = None
    """What its loudspeaker plays."""

    def prepare(self, folder: Path) -> dict[str, str]:
        """Make the folder, and return the environment to run in.

        Parameters
        ----------
        folder
            It must not exist yet.
        """
        folder.mkdir()
        for name, source in self.inputs.items():
            (folder / name).symlink_to(source)
        scratch = folder.parent / f"{folder.name}.tmp"  # temporary folders of libraries are theirs
        scratch.mkdir()
        places = {"TTS_VOICES_DIR": "voices", "TTS_CACHE_DIR": "cache", "TTS_CONFIG_DIR": "config", "HF_HOME": "hub"}
        own = {key: str(folder / place) for key, place in places.items()}
        return {**self.environment, **own, "TMPDIR": str(scratch)}

    def left(self, folder: Path, patterns: tuple[str, ...]) -> list[str]:
        """The files in the folder that match one of these patterns.

        Parameters
        ----------
        folder
            The folder of a run.
        patterns
            As of `Path.rglob`.
        """
        return sorted(str(path.relative_to(folder)) for pattern in patterns for path in folder.rglob(pattern))


def sound_file(folder: Path, name: str) -> str:
    """Damage: a sound file that cannot be read or is empty.

    Parameters
    ----------
    folder
        The folder of a run.
    name
        The name of the file.
    """
    import soundfile

    if not (folder / name).exists():
        return ""
    try:
        return "" if soundfile.info(folder / name).frames else f"{name} is empty"
    except soundfile.SoundFileError as error:
        return str(error)


def voice(folder: Path) -> str:
    """Damage: a voice with a missing file.

    Parameters
    ----------
    folder
        The folder of a run.
    """
    there = {path.name for path in folder.glob("voices/qb*")}
    return "" if "qb.pt" not in there or there == VOICE else f"the voice has only {sorted(there)}"


def picture(folder: Path) -> str:
    """Damage: an incomplete picture.

    Parameters
    ----------
    folder
        The folder of a run.
    """
    drawn = folder / "times.png"
    return "" if not drawn.exists() or drawn.read_bytes().endswith(b"IEND\xaeB\x60\x82") else "times.png breaks off"


def weights(folder: Path) -> str:
    """Damage: a file in the snapshot that differs from that on the hub.

    Parameters
    ----------
    folder
        The folder of a run.
    """
    files = served()
    wrong = [
        path.name for path in folder.glob("hub/hub/*/snapshots/*/*") if path.read_bytes() != files.get(path.name, b"")
    ]
    return f"{wrong} differ from the hub's" if wrong else ""


def served() -> dict[str, bytes]:
    """The files of Chatterbox Turbo on the hub."""
    large = bytes(range(256)) * 16_000
    return {
        "t3_turbo_v1.safetensors": large,
        "s3gen_meanflow.safetensors": large[::-1],
        "ve.safetensors": b"voice encoder" * 1000,
        "conds.pt": b"conditionals" * 1000,
        "vocab.json": b'{"a": 0}',
        "merges.txt": b"#version: 0.2\n",
        "added_tokens.json": b"{}",
    }


@contextmanager
def cases(scratch: Path, wanted: Callable[[str], bool]) -> Iterator[list[Case]]:
    """The cases with the given names, as a context manager. What they need exists inside the block.

    Parameters
    ----------
    scratch
        A folder for what the cases need.
    wanted
        Whether to make the case of a name.
    """
    makers: dict[str, Callable[[Path, ExitStack], Case]] = {
        "speak to a file": _file,
        "speak to standard output": _standard_output,
        "speak to a loudspeaker": _loudspeaker,
        "speak to a file, Chatterbox": _chatterbox,
        "voice cache": _voice_cache,
        "model pull": _model_pull,
        "bench": _bench,
    }
    with ExitStack() as stack:
        yield [make(scratch, stack) for name, make in makers.items() if wanted(name)]


def _silent() -> dict[str, str]:
    """An environment without a user's settings, an audio device or a network."""
    dropped = ("TTS_", "HF_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONWARNINGS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, "PYTHONPATH": str(ROOT), "PULSE_SERVER": "unix:/nonexistent", "HF_ENDPOINT": "http://127.0.0.1:9"}


def _file(_: Path, __: ExitStack) -> Case:
    arguments = ("speak", TEXT, "-o", "x.wav", "--engine", "builtin")
    return Case("speak to a file", arguments, _silent(), partial(sound_file, name="x.wav"))


def _standard_output(_: Path, __: ExitStack) -> Case:
    return Case("speak to standard output", ("speak", TEXT, "-o", "-", "--engine", "builtin"), _silent())


def _loudspeaker(scratch: Path, stack: ExitStack) -> Case:
    from tests.loudspeaker import null_sink

    runtime = scratch / "speaker"
    runtime.mkdir()
    speaker = stack.enter_context(null_sink(runtime))
    recording = stack.enter_context(speaker.recording())
    environment = _silent() | {key: speaker.environment[key] for key in ("XDG_RUNTIME_DIR", "HOME")}
    del environment["PULSE_SERVER"]
    arguments = ("speak", SHORT, "--engine", "builtin")
    return Case("speak to a loudspeaker", arguments, environment, recording=recording)


def _chatterbox(scratch: Path, _: ExitStack) -> Case:
    folder = _checkpoint(scratch / "tiny")
    arguments = ("speak", SHORT, "-o", "x.flac", "--engine", "chatterbox", "--model-dir", str(folder))
    return Case("speak to a file, Chatterbox", arguments, _silent(), partial(sound_file, name="x.flac"))


def _voice_cache(scratch: Path, _: ExitStack) -> Case:
    import numpy as np
    import soundfile
    from make_checkpoint import voice_side
    from safetensors.torch import load_file, save_file

    folder = _checkpoint(scratch / "tiny with encoders")
    flow = folder / "s3gen_meanflow.safetensors"
    save_file(load_file(flow) | voice_side(7), flow)
    recording = scratch / "qb.wav"
    soundfile.write(recording, 0.1 * np.random.default_rng(7).standard_normal(6 * 16_000), 16_000)
    arguments = ("voice", "cache", "qb.wav", "--model-dir", str(folder))
    return Case("voice cache", arguments, _silent(), voice, {"qb.wav": recording})


def _model_pull(_: Path, stack: ExitStack) -> Case:
    from tests.hub import Hub, HubServer

    server = stack.enter_context(HubServer(Hub("ResembleAI/chatterbox-turbo", served())))
    environment = _silent() | {"HF_ENDPOINT": server.url}
    return Case("model pull", ("model", "pull", "turbo"), environment, weights, continued=("*.incomplete",))


def _bench(_: Path, __: ExitStack) -> Case:
    arguments = ("bench", "--engine", "builtin", "--runs", "2", "--warmup", "1", "--plot", "times.png")
    return Case("bench", arguments, _silent(), picture)


def _checkpoint(folder: Path) -> Path:
    from make_checkpoint import write_checkpoint

    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    write_checkpoint(folder, "tiny", 7)
    return folder
