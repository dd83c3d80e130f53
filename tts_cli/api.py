"""The Python API: iterate over sound as it is computed, or have it played or written.

from tts_cli import speak, stream

for chunk in stream("Hello, world."):
    print(len(chunk.samples), chunk.sample_rate)

speak("Hello, world.", output="hello.wav")
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING

from tts_cli.checks import instance
from tts_cli.engines import Engine, EngineSettings, Mode, SpeakOptions, choose_engine, choose_voice, load_engine
from tts_cli.metrics import Meter, Snapshot
from tts_cli.pipeline import Ready, Speaking, synthesize
from tts_cli.sinks import Sink
from tts_cli.source import TextSource, text_argument

if TYPE_CHECKING:
    from tts_cli.audio import AudioChunk


def stream(
    text: str,
    *,
    voice: str | None = None,
    engine: str = "auto",
    chunk: int | None = 10,
    mode: Mode = "streaming",
    seed: int = 0,
    strict: bool = False,
) -> Iterator[AudioChunk]:
    """Chunks of float32 mono sound, each as soon as it is computed.

    `chunk` counts speech tokens of 40 ms; None: few at first, then as many as the sound in hand allows. Raises
    `TTSError` for what a caller can mend, before the first chunk for what is known by then: `UnspokenError` after the
    last chunk if the engine failed on a piece of the text, or `SegmentError` at once if `strict`. Closing the iterator
    ends the computation.
    """
    options = SpeakOptions(chunk, mode, seed, strict=strict)
    source = _source(text)
    loaded = _load(engine, voice)
    chosen = choose_voice(loaded, voice)
    return _closing(loaded, synthesize(loaded, chosen, options, source, Meter()))


def _closing(engine: Engine, chunks: Generator[AudioChunk, None, None]) -> Iterator[AudioChunk]:
    with closing(engine), closing(chunks):
        yield from chunks


def speak(
    text: str,
    *,
    voice: str | None = None,
    engine: str = "auto",
    chunk: int | None = 10,
    mode: Mode = "streaming",
    seed: int = 0,
    output: str | Path | None = None,
    device: str | int | None = None,
    strict: bool = False,
) -> Snapshot:
    """Play `text`, or write it to `output` (.wav, .flac, .mp3, .ogg); returns when it is heard or written.

    `device` is a number or a part of a name, as `tts devices` lists them. Returns the measurements.
    Raises `UnspokenError` after everything else has been heard or written if the engine failed on a piece of the text,
    or `SegmentError` at once if `strict`.
    """
    meter = Meter()
    options, source = SpeakOptions(chunk, mode, seed, strict=strict), _source(text)
    instance("output", output, (str, Path, NoneType), "a file name, a Path or None")
    instance("device", device, (str, int, NoneType), "a number, a name or None")

    def prepare(stack: ExitStack) -> Ready:
        loaded = stack.enter_context(closing(_load(engine, voice)))
        sink = stack.enter_context(closing(_sink(output, device)))
        return Ready(loaded, choose_voice(loaded, voice), sink)

    run = Speaking(prepare, options, source, meter)
    try:
        run.start()
        run.result()
    except KeyboardInterrupt:
        run.cancel()
        run.result()
        raise
    return meter.snapshot()


def _load(engine: str, voice: str | None) -> Engine:
    settings = EngineSettings()
    name, _ = choose_engine(engine, voice, settings)
    return load_engine(name, settings)


def _source(text: str) -> TextSource:
    instance("text", text, str, "a str")
    return text_argument(text)


def _sink(output: str | Path | None, device: str | int | None) -> Sink:
    if output is not None:
        from tts_cli.sinks.file import FileSink

        return FileSink(Path(output))
    from tts_cli.sinks.devices import find_device
    from tts_cli.sinks.speaker import SpeakerSink

    return SpeakerSink(find_device(None if device is None else str(device)))
