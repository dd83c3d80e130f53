"""Writes the same sentence, spoken in several ways, under names that do not tell which is which."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom

from tts_cli.audio import Samples
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.errors import OutputError, UsageError


@contextmanager
def blind_sounds(folder: Path) -> Iterator[Callable[[str, Samples], None]]:
    """Collect sounds, as a context manager. At the end, `folder` appears with all of them, or not at all.

    The files are `01.wav`, `02.wav` and so on in a random order. `key.txt` says what each is.

    Parameters
    ----------
    folder
        It must not exist, or be empty.

    Yields
    ------
    Callable
        Takes what a sound is, in words, and its samples, float32 `[n]` at 24 kHz.

    Raises
    ------
    UsageError
        If the folder holds something.
    OutputError
        If it cannot be written.
    """
    sounds: list[tuple[str, Samples]] = []
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is not an empty folder", "choose another name")
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name[:50]}.", dir=folder.absolute().parent))
    except OSError as error:
        raise _failed(folder, error) from error
    try:
        yield lambda way, sound: sounds.append((way, sound))
        SystemRandom().shuffle(sounds)
        _write(draft, sounds)
        with suppress(FileNotFoundError):
            folder.rmdir()
        draft.rename(folder)
    except OSError as error:
        raise _failed(folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(folder: Path, sounds: list[tuple[str, Samples]]) -> None:
    import soundfile

    lines = []
    for number, (way, sound) in enumerate(sounds, start=1):
        name = f"{number:02}.wav"
        soundfile.write(folder / name, sound, SAMPLE_RATE, subtype="PCM_16")
        lines.append(f"{name}  {way}\n")
    (folder / "key.txt").write_text("".join(lines), encoding="utf-8")
    folder.chmod(0o755)


def _failed(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder}: {error.strerror}", "choose another place")
