"""Chatterbox as an engine: text → tokens → sound → watermark, for one group of sentences at a time.

Nothing here imports upstream's package: a cached voice speaks with torch, safetensors and tokenizers alone.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tts_cli.audio import SAMPLE_RATE, AudioChunk, Samples
from tts_cli.engines import EngineSettings, SpeakOptions
from tts_cli.engines.chatterbox.cached import VoicePast
from tts_cli.engines.chatterbox.config import read_config
from tts_cli.engines.chatterbox.decoder import S3GenDecoder, S3GenStream
from tts_cli.engines.chatterbox.precision import choose
from tts_cli.engines.chatterbox.prompt import TextTokenizer, normalise
from tts_cli.engines.chatterbox.sampling import (
    SILENCE,
    SPEECH_VOCAB,
    TRAILING_SILENCE,
    Guard,
    Sampling,
    token_budget,
)
from tts_cli.engines.chatterbox.schedule import Schedule, schedule
from tts_cli.engines.chatterbox.stages import in_turn, side_by_side
from tts_cli.engines.chatterbox.t3 import T3, T3Prefix, TokenRequest
from tts_cli.engines.chatterbox.threads import Threads, apart, use
from tts_cli.engines.chatterbox.voice import Conditionals, prefix_of
from tts_cli.engines.chatterbox.voice_past import past_of
from tts_cli.engines.chatterbox.watermark import Watermarker
from tts_cli.engines.chatterbox.weights import fingerprint, pick_device
from tts_cli.errors import UsageError
from tts_cli.models import locate
from tts_cli.segment import Segment
from tts_cli.voices import VoiceStore

VOICES: Final = 8
"""How many voices stay loaded; each takes 75 MB for T3 and 115 or 230 MB for the flow, mapped or not."""


@dataclass(slots=True)
class _Voice:
    conditionals: Conditionals
    prefix: T3Prefix
    past: VoicePast | None = None
    """What the flow keeps of it, once an utterance asked."""


class ChatterboxEngine:
    """Chatterbox Turbo or Nano, streamed."""

    name = "chatterbox"
    sample_rate = SAMPLE_RATE
    groups_sentences = True

    def __init__(self, settings: EngineSettings) -> None:
        """Load what speaking needs.

        Raises `MissingError` where the weights, the device or (with `settings.watermark`) the watermarker
        are not here, `ModelError` where weights are damaged, `UsageError` for an unknown model, device or precision.
        """
        self._folder = locate(settings.model, settings.model_dir)
        self._device = pick_device(settings.device)
        self.precision = choose(settings.precision, self._device).why
        self.strategy = "cached" if self._device.type == "cpu" else "context"
        self._threads = Threads.share(settings.threads)
        self._prompt_seconds = settings.prompt_seconds
        self._tokenizer = TextTokenizer(self._folder)
        self._marker = Watermarker.load() if settings.watermark else None
        with ThreadPoolExecutor(1) as pool:  # both wait for memory by turns, and leave Python's lock alone meanwhile
            loading = pool.submit(S3GenDecoder.load, self._folder, str(self._device), settings.precision)
            self._t3 = T3.load(self._folder, self._device, settings.precision)
            self._decoder = loading.result()
        self._fingerprint = fingerprint(self._folder / read_config(self._folder).t3_file)
        self._store = VoiceStore(settings.voices_dir, self._folder)
        self._loaded: dict[Path, tuple[int, _Voice]] = {}
        self._loading = threading.Lock()

    def voices(self) -> list[str]:
        """`default`, where it came with the weights, and the cached voices.

        Raises `MissingError` where there is none.
        """
        return self._store.speakable()

    def stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Iterator[AudioChunk]:
        """See `Engine.stream`. Nothing for a text without a letter or digit.

        `simple` mode decodes all tokens at once, as upstream's `ChatterboxTurboTTS.generate` does.
        """
        return apart(self._stream(segment, voice, options))

    def _stream(self, segment: Segment, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        text = normalise(segment.text)
        if not any(character.isalnum() for character in text):
            return
        if options.chunk is not None and options.chunk < 1:
            raise UsageError(f"a chunk of {options.chunk} tokens is none", "choose 1 or more")
        chosen = self._voice(voice)
        strategy = self.strategy if options.strategy == "auto" else options.strategy
        options = replace(options, strategy=strategy, seed=segment.seed(options.seed))
        # The ways that `cached` is compared with are decoded in the chunks that were asked for, and no others.
        when = schedule(options.chunk, soon=options.strategy == "cached")
        guard = Guard(token_budget(text) if options.guard and options.tokens is None else None)
        tokens = self._tokens(text, chosen.prefix, options, when.first, guard)
        marks = self._marker.stream() if self._marker else None
        with closing(self._sound(tokens, voice, chosen, options, when)) as sound:
            told = ""
            for samples in sound:
                if len(samples):
                    # The silence at the end is drawn after the guard's verdict, so a chunk always follows that.
                    notice = guard.verdict if not told else ""
                    told = told or notice
                    yield AudioChunk(marks.push(samples) if marks else samples, notice=notice)

    def close(self) -> None:
        """Let go of the voices; the models go with the engine."""
        with self._loading:
            self._loaded.clear()

    def _tokens(self, text: str, prefix: T3Prefix, options: SpeakOptions, first: int, guard: Guard) -> Iterator[int]:
        """The tokens to decode: those that mean sound, and the silence that ends every utterance.

        The `first` are drawn with all threads. After the last one `guard` knows whether it stopped them.
        """
        use(self._threads.all)  # until there is enough for the other stages to begin with
        sampling = Sampling(options.temperature, options.top_k, options.top_p, options.repetition_penalty)
        ids = self._tokenizer.encode(text)
        request = TokenRequest(prefix, ids, sampling, options.seed, guard.most, options.tokens)
        for number, token in enumerate(self._t3.tokens(request), start=1):
            if options.mode == "streaming" and options.parallel and number == first:
                use(self._threads.t3)
            stopped = options.tokens is None and guard.stops(token)
            if token < SPEECH_VOCAB:
                yield token
            if stopped:
                break
        if options.tokens is None:
            yield from [SILENCE] * TRAILING_SILENCE

    def _sound(
        self, tokens: Iterator[int], name: str, voice: _Voice, options: SpeakOptions, when: Schedule
    ) -> Generator[Samples, None, None]:
        gen = voice.conditionals.gen
        if options.mode == "simple":
            yield self._decoder.whole(gen, list(tokens), options.seed)
            return

        def begin() -> S3GenStream:
            past = self._past(name, voice) if options.strategy == "cached" else None
            return self._decoder.stream(gen, options.strategy, options.seed, past=past)

        if options.parallel:
            yield from side_by_side(tokens, begin, when, options.chunk, self._threads)
        else:
            yield from in_turn(tokens, begin(), when)

    def _voice(self, name: str) -> _Voice:
        """The voice of that name, loaded once for as long as its file stays the same and it is among the last used."""
        with self._loading:
            path = self._store.path(name)
            version = path.stat().st_mtime_ns
            known = self._loaded.pop(path, None)
            if known is None or known[0] != version:
                known = version, self._load_voice(name, path)
            self._loaded[path] = known  # as the last one used
            for oldest in list(self._loaded)[:-VOICES]:
                del self._loaded[oldest]
            return known[1]

    def _load_voice(self, name: str, path: Path) -> _Voice:
        conditionals = Conditionals.load(path)
        prefix = prefix_of(conditionals, self._store.prefix_path(name), self._fingerprint, self._t3)
        if self._prompt_seconds is not None:
            conditionals = conditionals.shortened(self._prompt_seconds)
        return _Voice(conditionals, prefix)

    def _past(self, name: str, voice: _Voice) -> VoicePast:
        """What the flow keeps of the voice: known, or kept in a file, or computed now."""
        with self._loading:
            if voice.past is None:
                voice.past = past_of(voice.conditionals.gen, self._store.flow_path(name), self._folder, self._decoder)
            return voice.past
