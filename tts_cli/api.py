"""The Python API: load an engine and speak with it, or do both for a single text."""

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
from tts_cli.text.caller_text import Text, checked_text
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.reading import DEFAULT_CODE, DEFAULT_FORMAT, Format, Reading

if TYPE_CHECKING:
    from tts_cli.audio import AudioChunk


def load(engine: str = AUTO, *, voice: str | None = None, **settings: Any) -> Session:
    """Load an engine, to speak many texts with it.

    Parameters
    ----------
    engine
        A name that `tts engines` lists, an import string `module:Class`, or `auto`: the first engine that has the voice
        and the settings and can speak on this machine.
    voice
        The voice of the session; None for the engine's default.
    **settings
        Settings of the engine, such as `model_dir` and `precision` of Chatterbox.

    Returns
    -------
    Session
        A context manager. Leaving it closes the engine.

    Raises
    ------
    UsageError
        If the engine, the voice or a setting is unknown, or a value is not allowed.
    MissingError
        If this machine lacks something that the engine needs.
    TTSError
        If the engine cannot be loaded for another reason.

    Examples
    --------
    >>> import tts_cli
    >>> with tts_cli.load("builtin") as tts:
    ...     tts.voices()
    ...     sum(len(chunk.samples) for chunk in tts.stream("Hello, world.")) > 20_000
    ['heart']
    True
    """
    spec, made, _ = _chosen(engine, voice, settings)
    return Session(spec, made, voice)


def stream(
    text: Text,
    *,
    format: Format = DEFAULT_FORMAT,
    code: Code = DEFAULT_CODE,
    voice: str | None = None,
    engine: str = AUTO,
    strict: bool = False,
    **given: Any,
) -> Generator[AudioChunk, None, None]:
    """Load an engine and give the sound of one text, in chunks, each as soon as it is computed.

    Parameters
    ----------
    text, format, code, voice, engine, strict, **given
        As for `speak`.

    Yields
    ------
    AudioChunk
        In order. Closing the generator ends the computation.

    Raises
    ------
    TTSError
        As `speak` does. What is known before the first chunk is raised by the call, the rest while iterating.

    Examples
    --------
    >>> import tts_cli
    >>> chunks = list(tts_cli.stream("Hello, world.", engine="builtin"))
    >>> chunks[0].sample_rate
    24000
    """
    known = checked_text(text, Reading(format, code))
    spec, settings, options = _chosen(engine, voice, given)
    session = Session(spec, settings, voice)
    try:
        chunks = session.stream(known, format=format, code=code, strict=strict, **options)
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
    format: Format = DEFAULT_FORMAT,
    code: Code = DEFAULT_CODE,
    voice: str | None = None,
    engine: str = AUTO,
    strict: bool = False,
    output: str | Path | None = None,
    device: str | int | None = None,
    **given: Any,
) -> Snapshot:
    """Load an engine and play one text, or write it to a file.

    Parameters
    ----------
    text
        A whole text, or an iterable of its pieces. Complete sentences are spoken while the next piece is awaited.
    format
        What the text is written in: `markdown`, `plain`, or `auto`, which leaves out only those marks of Markdown that
        cannot be anything else.
    code
        Of code blocks, `announce` says only that there is one and its language, `skip` says nothing, and `speak` reads
        them out. With `format="plain"` there are none.
    voice
        The voice to speak with; None for the default.
    engine
        As for `load`.
    strict
        Whether the first piece of text that the engine fails on ends everything. Otherwise that piece is left out.
    output
        The file to write: .wav, .flac, .mp3 or .ogg. None to play.
    device
        The audio device, by its number or a part of its name; None for the system's default.
    **given
        Settings of the engine, as for `load`, and options. All engines have the options `chunk` (in speech tokens of
        40 ms; None lets the engine choose), `mode` (`streaming` or `simple`), `seed`, `pause` (in seconds), `speed`,
        `volume` (in dB) and `normalize`.

    Returns
    -------
    Snapshot
        The measurements, when all sound was heard or written.

    Raises
    ------
    UsageError
        If the request is wrong: an unknown voice, a text without words, a value that is not allowed.
    MissingError
        If this machine lacks something: a package, weights, an audio device.
    UnspokenError
        After all other sound was heard or written, if the engine failed on some of the text.
    SegmentError
        If it failed and `strict` is set, or if it failed on five pieces in a row.
    OutputError
        If the sound cannot be delivered, for example because the disk is full.

    Examples
    --------
    >>> import tts_cli
    >>> measured = tts_cli.speak("Hello, world.", engine="builtin", output="hello.wav")
    >>> measured.chunks  # doctest: +SKIP
    3
    """
    known = checked_text(text, Reading(format, code))
    spec, settings, options = _chosen(engine, voice, given)
    with Session(spec, settings, voice) as session:
        return session.speak(known, format=format, code=code, strict=strict, output=output, device=device, **options)


def _chosen(
    engine: str, voice: str | None, given: Mapping[str, Any]
) -> tuple[EngineSpec, EngineSettings, dict[str, Any]]:
    """The engine, its settings, and everything else that was given: the options, which `Session` checks."""
    instance("engine", engine, str, "a name")
    instance("voice", voice, (str, NoneType), "a name or None")
    spec, _ = choose(engine, voice, given)
    settings, _ = split(spec, given)
    return spec, settings, {name: value for name, value in given.items() if name not in declared(spec.settings)}
