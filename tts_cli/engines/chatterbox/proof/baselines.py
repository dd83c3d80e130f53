"""The baselines of `tts bench --compare`, as engines: so they are measured just as ours is.

They compute in a process of their own (`upstream`): neither side's memory, threads or settings touch the other's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO, Any, Final, cast

import numpy as np

from tts_cli.audio import SAMPLE_RATE, AudioChunk, Samples
from tts_cli.engines import Engine, EngineSettings, Segments, SpeakOptions
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.engines.chatterbox.weights.config import CONFIG_FILE
from tts_cli.engines.chatterbox.weights.locate import INSTALL, locate
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.engines.in_order import in_order
from tts_cli.errors import MissingError, ModelError, UsageError
from tts_cli.segment import Segment

BASELINES: Final = ("upstream", "independent")
CHUNK: Final = 10
"""Tokens in a chunk where ours chooses as it goes: the prototype's own default."""


class UpstreamProcess:
    """Upstream's model in its process. Asked for one sound at a time."""

    def __init__(self, settings: ChatterboxSettings) -> None:
        """Start the process and wait until it has loaded the weights.

        Raises `UsageError` for weights that upstream has no loader for, `MissingError` where weights, device or package
        are not here, `ModelError` where it cannot load them.
        """
        if settings.model != "turbo":
            raise UsageError(f"upstream cannot load Chatterbox {settings.model}", "compare with --model turbo")
        self.folder = locate(settings.model, settings.model_dir)
        if (self.folder / CONFIG_FILE).exists():
            raise UsageError(
                f"upstream loads the released sizes only, and {self.folder} has others ({CONFIG_FILE})",
                "name another folder with --model-dir",
            )
        self.store = VoiceStore(settings.voices_dir, self.folder)
        command = [sys.executable, "-m", "tts_cli.engines.chatterbox.proof.upstream", str(self.folder)]
        self._process = process = subprocess.Popen(
            [*command, str(pick_device(settings.device))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._requests, self._answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def sound(self, **request: Any) -> Iterator[Samples]:
        """What `upstream.Upstream.speak` says to `request`, to be heard to its end.

        Raises `ModelError` where it fails.
        """
        with suppress(BrokenPipeError):  # it has ended: reading says how
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        while "samples" in (answer := self._answer()):
            data = self._answers.read(4 * answer["samples"])
            yield np.frombuffer(data, np.float32)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            code = self._process.wait()
            raise ModelError(f"upstream's process ended with code {code}", "it may have had too little memory")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer and answer["missing"]:
            raise MissingError(f"upstream cannot be imported ({answer['error']})", f"run: {INSTALL}")
        if "error" in answer:
            raise ModelError(f"upstream fails on {self.folder}: {answer['error']}")
        return answer


class Baseline:
    """One way of speaking of upstream's model, as an `Engine`."""

    name = "upstream"
    sample_rate = SAMPLE_RATE
    capacity = 1
    precision = "fp32"
    strategy = ""

    def __init__(self, upstream: UpstreamProcess, way: str) -> None:
        self._upstream = upstream
        self._way = way

    def voices(self) -> list[str]:
        """The voices are those of the engine that is compared."""
        return self._upstream.store.speakable()

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. Of the options it knows chunk, seed and tokens; the rest is as upstream has it."""
        path = str(self._upstream.store.path(voice))

        def speak(segment: Segment) -> Iterator[AudioChunk]:
            for samples in self._upstream.sound(
                way=self._way,
                voice=path,
                text=segment.text,
                tokens=ChatterboxOptions.of(options).tokens,
                chunk=options.chunk or CHUNK,
                seed=segment.seed(options.seed),
            ):
                yield AudioChunk(samples, self.sample_rate, segment)

        return in_order(segments, speak)

    def close(self) -> None:
        """The process is shared and ends with its owner."""


@contextmanager
def opened(settings: EngineSettings, names: str) -> Iterator[Mapping[str, Engine]]:
    """The baselines of those names. Their process ends with the block.

    Raises as `names_in` and `UpstreamProcess` do.
    """
    wanted = names_in(names)
    with closing(UpstreamProcess(cast(ChatterboxSettings, settings))) as upstream:
        yield {name: Baseline(upstream, name) for name in wanted}


def names_in(names: str) -> Sequence[str]:
    """The names in a comma-separated list, each once. Raises `UsageError` for one that is none of `BASELINES`."""
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in BASELINES:
            raise UsageError(f"there is nothing called {name!r} to compare with", f"choose: {', '.join(BASELINES)}")
    return wanted
