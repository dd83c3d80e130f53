"""The Python API: load an engine and speak with it, or do both for a single text.

import tts_cli

tts_cli.speak("Hello, world.", output="hello.wav")

with tts_cli.load("builtin") as tts:
    for chunk in tts.stream("Hello again."):
        print(len(chunk.samples), chunk.sample_rate)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from tts_cli.checks import instance
from tts_cli.engines import EngineSettings, EngineSpec
from tts_cli.engines.options import declared
from tts_cli.engines.registry import AUTO, choose, split
from tts_cli.metrics import Snapshot
from tts_cli.session import Session
from tts_cli.text.given import Text, checked_text

if TYPE_CHECKING:
    from tts_cli.audio import AudioChunk


def load(engine: str = AUTO, *, voice: str | None = None, **settings: Any) -> Session:
    """Load an engine, to speak many times.

    Parameters
    ----------
    engine
        `auto`, the name of an engine (`tts engines` lists them), or an import string `module:Class`.
    voice
        The voice to speak with; None for the engine's default.
    **settings
        What the engine's settings hold, such as `model_dir` and `precision` of Chatterbox.

    Returns
    -------
    Session
        A context manager.

    Raises
    ------
    UsageError
        For an unknown engine or voice, or a setting that the engine has not.
    MissingError
        Where this machine lacks something that the engine needs.

    Examples
    --------
    >>> with tts_cli.load("builtin") as tts:  # doctest: +SKIP
    ...     tts.speak("Hello, world.")
    ...     tts.speak("This one costs no loading.")
    """
    spec, made, _ = _chosen(engine, voice, settings)
    return Session(spec, made, voice)


def stream(
    text: Text, *, voice: str | None = None, engine: str = AUTO, strict: bool = False, **given: Any
) -> Generator[AudioChunk, None, None]:
    """Chunks of sound, each as soon as it is computed. Loads an engine for this one text.

    Parameters
    ----------
    text, voice, strict
        As for `Session.stream`.
    engine
        As for `load`.
    **given
        Settings and options of the engine.

    Returns
    -------
    Generator of AudioChunk
        Closing it ends the computation.

    Raises
    ------
    TTSError
        As `Session.stream` does, and as `load` does.
    """
    known = checked_text(text)
    spec, settings, options = _chosen(engine, voice, given)
    session = Session(spec, settings, voice)
    try:
        chunks = session.stream(known, strict=strict, **options)
    except BaseException:
        session.close()
        raise
    return _closing(session, chunks)


def _closing(session: Session, chunks: Generator[AudioChunk, None, None]) -> Generator[AudioChunk, None, None]:
    with closing(session), closing(chunks):
        yield from chunks


def speak(
    text: Text,
    *,
    voice: str | None = None,
    engine: str = AUTO,
    strict: bool = False,
    output: str | Path | None = None,
    device: str | int | None = None,
    **given: Any,
) -> Snapshot:
    """Play a text, or write it to a file. Loads an engine for this one text.

    Parameters
    ----------
    text, voice, strict, output, device
        As for `Session.speak`.
    engine
        As for `load`.
    **given
        Settings and options of the engine.

    Returns
    -------
    Snapshot
        The measurements.

    Raises
    ------
    TTSError
        As `Session.speak` does, and as `load` does.
    """
    known = checked_text(text)
    spec, settings, options = _chosen(engine, voice, given)
    with Session(spec, settings, voice) as session:
        return session.speak(known, strict=strict, output=output, device=device, **options)


def _chosen(
    engine: str, voice: str | None, given: Mapping[str, Any]
) -> tuple[EngineSpec, EngineSettings, dict[str, Any]]:
    """The engine, its settings, and what else was given: its options, which `Session` checks."""
    instance("engine", engine, str, "a name")
    instance("voice", voice, (str, NoneType), "a name or None")
    spec, _ = choose(engine, voice, given)
    settings, _ = split(spec, given)
    return spec, settings, {name: value for name, value in given.items() if name not in declared(spec.settings)}
