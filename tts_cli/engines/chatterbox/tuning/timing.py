"""Times the parts of Chatterbox on this machine, with the weights in a folder and a voice of the usual length.

The time does not depend on the values of a voice, so this one has random values. The watermark, a fiftieth of the
work, is left out.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tts_cli.cores import cores
from tts_cli.engines.chatterbox.device_placement import Placed, found_fault
from tts_cli.engines.chatterbox.options import PRECISIONS
from tts_cli.engines.chatterbox.precision.choice import Precision, choose, fast_bf16
from tts_cli.engines.chatterbox.s3gen.cached import VoicePast
from tts_cli.engines.chatterbox.s3gen.cached_past import NetworkPast
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder, S3GenStream
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.schedule.earliest_deadline import Turns
from tts_cli.engines.chatterbox.schedule.policy import Listener
from tts_cli.engines.chatterbox.schedule.sizes import FIRST, chunk_sizes
from tts_cli.engines.chatterbox.schedule.stages import side_by_side
from tts_cli.engines.chatterbox.schedule.threads import Threads, use
from tts_cli.engines.chatterbox.t3.batch import Batch
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.tuning.identity import Machine
from tts_cli.engines.chatterbox.tuning.rule import Way
from tts_cli.engines.chatterbox.tuning.search import BLOCK, Block, Progress, Tuned, tune
from tts_cli.engines.chatterbox.voice.conditionals import sample_of
from tts_cli.engines.chatterbox.weights.config import (
    FRAMES_PER_TOKEN,
    MEL_BINS,
    SPEAKER_SIZE,
    SPEECH_VOCABULARY,
)
from tts_cli.engines.prefetch import Prefetch
from tts_cli.errors import UsageError

REFERENCE: Final = 250
"""Tokens of the voice in the flow: 10 s, the most it uses."""
SHORT: Final = 50
"""Tokens of a shorter reference."""
PREFIX: Final = 376
"""Positions of the voice in T3: 15 s and the speaker."""
TEXT: Final = 40
"""Text tokens of the utterance."""
ENDLESS: Final = 1000
"""Tokens that T3 may draw."""
TOKENS: Final = 8
"""Tokens that are timed."""
SETTLED: Final = 2
"""Blocks at the start of an utterance that are not timed: some of their sound is foreseen, which takes longer."""
BLOCKS: Final = 4
"""Blocks that are timed while all stages compute."""
PAST: Final = 10
"""Tokens of the voice whose past is computed. It is repeated until it has the length of the reference."""


class Timing:
    """Implements `search.Machine`. What is loaded stays loaded.

    Parameters
    ----------
    folder
        The folder with the weights.
    """

    def __init__(self, folder: Path) -> None:
        self.cores = cores()
        self.devices: Sequence[str] = [*Machine.here().devices, "cpu"]
        self._folder = folder
        self._t3s: dict[tuple[str, str], T3] = {}
        self._decoders: dict[tuple[str, str], S3GenDecoder] = {}
        self._chance = torch.Generator().manual_seed(0)

    def fault(self, device: str) -> str:
        """See `search.Machine`."""
        precision = choose("auto", torch.device(device))
        placed = Placed(
            self._t3(device, precision.t3), self._decoder(device, precision.s3gen), torch.device(device), precision
        )
        return found_fault(placed, self._folder)

    def precisions(self, device: str) -> Mapping[str, Precision]:
        """See `search.Machine`."""
        there, found = torch.device(device), {}
        for name in PRECISIONS:
            if name == "int4" or (name == "bf16" and not fast_bf16(there)):
                continue
            with suppress(UsageError):
                found[name] = choose(name, there)
        return found

    def token(self, device: str, precision: str, threads: int) -> float:
        """See `search.Machine`. The least of several, because anything else that computes makes it longer."""
        t3 = self._t3(device, precision)
        use(Threads.share(threads).t3)
        drawn = self._tokens(t3)
        for _ in range(2):
            next(drawn)
        return min(_seconds(partial(next, drawn)) for _ in range(TOKENS))

    def block(self, way: Way, short: bool) -> Block:
        """See `search.Machine`."""
        decoder = self._decoder(way.device, way.precision)
        use(Threads.share(way.threads).s3gen)
        stream = self._stream(decoder, way.strategy, SHORT if short else REFERENCE)
        for tokens in (FIRST, *[BLOCK] * (1 if short else SETTLED - 1)):
            stream.push(self._speech(tokens))
        timed = [self._timed(stream) for _ in range(1 if short else 2)]
        return Block(min(flow for flow, _ in timed), min(vocoder for _, vocoder in timed), short)

    def rtf(self, way: Way, block: int) -> float:
        """See `search.Machine`."""
        t3, decoder = self._t3(way.device, way.precision), self._decoder(way.device, way.precision)
        threads = Threads.share(way.threads)
        soon = way.strategy == "cached"
        began = self._stream(decoder, way.strategy, REFERENCE)
        turn = Turns(2).of(Listener())
        count = SETTLED + max(2, BLOCKS * BLOCK // block)
        with (
            closing(Prefetch(_with_threads(threads.t3, self._tokens(t3)), room=2 * block)) as tokens,
            closing(side_by_side(tokens, lambda: began, chunk_sizes(block, soon, True), threads, turn)) as sounds,
        ):
            for _ in range(SETTLED):
                next(sounds)
            begun, samples = time.perf_counter(), 0
            for _ in range(count - SETTLED):
                samples += len(next(sounds))
            return (time.perf_counter() - begun) * SAMPLE_RATE / samples

    def _t3(self, device: str, precision: str) -> T3:
        if (device, precision) not in self._t3s:
            self._t3s[device, precision] = T3.load(self._folder, device, precision, sample_of(self._folder))
            self._t3s[device, precision].settle()
        return self._t3s[device, precision]

    def _decoder(self, device: str, precision: str) -> S3GenDecoder:
        kind = choose(precision, torch.device(device)).s3gen
        if (device, kind) not in self._decoders:
            self._decoders[device, kind] = S3GenDecoder.load(self._folder, device, kind)
        return self._decoders[device, kind]

    def _tokens(self, t3: T3) -> Iterator[int]:
        """Speech tokens, drawn as an engine draws them. They never end."""
        weight = t3.speech_emb.weight
        keys, values = (self._any(*t3.cache_shape(PREFIX)).to(weight.device) for _ in range(2))
        text = torch.randint(t3.text_emb.weight.shape[0], (TEXT,), generator=self._chance).tolist()
        request = TokenRequest(T3Prefix(keys.transpose(2, 3).contiguous(), values), text, exactly=ENDLESS)
        for token in t3.tokens(request) if t3.batch_step is None else _drawn_in_a_batch(t3, request):
            yield min(token, SPEECH_VOCABULARY - 1)

    def _stream(self, decoder: S3GenDecoder, strategy: str, reference: int) -> S3GenStream:
        """A new utterance after a reference of so many tokens."""
        if strategy != "cached":
            return decoder.stream(self._voice(reference), strategy)
        past = decoder.past(self._voice(PAST))
        return decoder.stream(self._voice(PAST), strategy, past=_repeated(past, reference // PAST))

    def _voice(self, tokens: int) -> dict[str, Any]:
        return {
            "prompt_token": self._speech(tokens),
            "prompt_feat": self._any(1, FRAMES_PER_TOKEN * tokens, MEL_BINS) - 4,
            "embedding": self._any(1, SPEAKER_SIZE),
        }

    def _speech(self, tokens: int) -> Tensor:
        return torch.randint(SPEECH_VOCABULARY, (tokens,), generator=self._chance)

    def _any(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._chance)

    def _timed(self, stream: S3GenStream) -> tuple[float, float]:
        """Seconds that the flow and the vocoder take for the next block."""
        begun = time.perf_counter()
        sound = stream.begin(self._speech(BLOCK))
        flow = time.perf_counter()
        sound()
        return flow - begun, time.perf_counter() - flow


def tune_here(folder: Path, progress: Progress) -> Tuned:
    """Time this machine with the weights in `folder`. The parameters and errors are those of `search.tune`."""
    warnings.filterwarnings("ignore", module=r"(torch|tts_cli\.engines\.chatterbox)(\.|$)")  # as in `place`
    threads = torch.get_num_threads()
    try:
        progress("loading", ())
        return tune(Timing(folder), progress)
    finally:
        use(threads)


def _drawn_in_a_batch(t3: T3, request: TokenRequest) -> Iterator[int]:
    batch = Batch(t3)
    row = batch.row(request)
    while not row.ended:
        (token,) = batch.step([row])
        if token is not None:
            yield token


def _repeated(past: VoicePast, times: int) -> VoicePast:
    """A past with the sizes of a voice that is `times` as long. Its values are those of `past`, repeated."""

    def network(one: NetworkPast) -> NetworkPast:
        longer = ([each.repeat(1, 1, times, 1) for each in part] for part in (one.keys, one.values))
        return NetworkPast(one.tails, *map(tuple, longer))

    return VoicePast(network(past.encoder), tuple(map(network, past.steps)), past.speaker, past.tokens * times)


def _with_threads(number: int, tokens: Iterator[int]) -> Iterator[int]:
    use(number)
    yield from tokens


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
