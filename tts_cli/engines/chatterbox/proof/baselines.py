"""The baselines of `tts bench --compare`. They are engines, so they are measured as all engines are.

They compute in a process of their own (`upstream`), so memory, threads and settings of both sides are separate.
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

from tts_cli.audio import AudioChunk, Samples
from tts_cli.engines import Engine, EngineSettings, Segments, SpeakOptions
from tts_cli.engines.chatterbox.options import ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.engines.chatterbox.weights.config import CONFIG_FILE
from tts_cli.engines.chatterbox.weights.locate import INSTALL, locate
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.engines.in_order import in_order
from tts_cli.errors import MissingError, ModelError, UsageError
from tts_cli.segment import Segment

BASELINES: Final = ("upstream", "independent")
CHUNK: Final = 10
"""Tokens in a chunk if the engine chooses: the default of the first prototype."""


class UpstreamProcess:
    """Upstream's model in a process, which computes one sound at a time.

    The constructor starts the process, and waits until it has loaded the weights.

    Raises
    ------
    UsageError
        If upstream cannot load such weights.
    MissingError
        If weights, device or package are missing.
    ModelError
        If upstream fails to load the weights.
    """

    def __init__(self, settings: ChatterboxSettings) -> None:
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
        """The sound of one request, piece by piece. All pieces must be taken before the next request.

        Parameters
        ----------
        **request
            The arguments of `upstream.Upstream.speak`.

        Raises
        ------
        ModelError
            If upstream fails.
        """
        with suppress(BrokenPipeError):  # the process has ended; reading its answer gives the error
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        while "samples" in (answer := self._answer()):
            data = self._answers.read(4 * answer["samples"])
            yield np.frombuffer(data, np.float32)

    def close(self) -> None:
        """End the process at once."""
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
    """Upstream's model as an `Engine`. `way` is one of `BASELINES`."""

    name = "upstream"
    sample_rate = SAMPLE_RATE
    capacity = 1
    precision = "fp32"
    strategy = ""

    def __init__(self, upstream: UpstreamProcess, way: str) -> None:
        self._upstream = upstream
        self._way = way

    def voices(self) -> list[str]:
        """The voices of the engine that is compared."""
        return self._upstream.store.speakable()

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. It uses the options chunk, seed and tokens; all others are upstream's own."""
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
        """Do nothing: `opened` ends the process."""


@contextmanager
def opened(settings: EngineSettings, names: str) -> Iterator[Mapping[str, Engine]]:
    """Open the baselines in a comma-separated list, as a context manager. Their process ends with the block.

    Raises what `names_in` and `UpstreamProcess` raise.
    """
    wanted = names_in(names)
    with closing(UpstreamProcess(cast(ChatterboxSettings, settings))) as upstream:
        yield {name: Baseline(upstream, name) for name in wanted}


def names_in(names: str) -> Sequence[str]:
    """The names in a comma-separated list, each once. Raises `UsageError` if one is not in `BASELINES`.

    Examples
    --------
    >>> names_in("upstream, independent, upstream")
    ['upstream', 'independent']
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in BASELINES:
            raise UsageError(f"there is no baseline called {name!r}", f"choose: {', '.join(BASELINES)}")
    return wanted
