"""Chatterbox as an engine: text → tokens → sound → watermark, for one group of sentences at a time.

Nothing here imports upstream's package: a cached voice speaks with torch, safetensors and tokenizers alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from tts_cli.audio import SAMPLE_RATE, AudioChunk, Samples
from tts_cli.engines import EngineSettings, Segments, SpeakOptions
from tts_cli.engines.chatterbox.options import AUTO, ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.placed import place
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenStream
from tts_cli.engines.chatterbox.schedule.due import Schedule, schedule
from tts_cli.engines.chatterbox.schedule.stages import in_turn, side_by_side
from tts_cli.engines.chatterbox.schedule.threads import Budget, Threads, apart, use
from tts_cli.engines.chatterbox.t3.model import TokenRequest
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.t3.prompt import TextTokenizer, normalise
from tts_cli.engines.chatterbox.t3.sampling import SILENCE, TRAILING_SILENCE, Guard, token_budget
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, prefix_of
from tts_cli.engines.chatterbox.voice.loaded import LoadedVoices, Voice
from tts_cli.engines.chatterbox.voice.past import past_of
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.engines.chatterbox.watermark import Watermarker
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, read_config
from tts_cli.engines.chatterbox.weights.locate import locate
from tts_cli.engines.chatterbox.weights.tensors import fingerprint
from tts_cli.engines.in_order import in_order
from tts_cli.segment import Segment


class ChatterboxEngine:
    """Chatterbox Turbo or Nano, streamed."""

    name = "chatterbox"
    sample_rate = SAMPLE_RATE

    def __init__(self, settings: EngineSettings) -> None:
        """Load what speaking needs.

        Parameters
        ----------
        settings
            `ChatterboxSettings`; what every engine takes (`EngineSettings`) leaves all at its default.

        Raises
        ------
        MissingError
            Where the weights, the device or (with `settings.watermark`) the watermarker are not here.
        ModelError
            Where weights are damaged.
        UsageError
            For an unknown model, device or precision.
        """
        chosen = settings if isinstance(settings, ChatterboxSettings) else ChatterboxSettings()
        self._folder = locate(chosen.model, chosen.model_dir)
        self._budget = Budget(chosen.threads)
        self.capacity = self._budget.capacity
        self._prompt_seconds = chosen.prompt_seconds
        self._tokenizer = TextTokenizer(self._folder)
        self._marker = Watermarker.load() if chosen.watermark else None
        placed = place(self._folder, chosen.device, chosen.precision)
        self._t3, self._decoder = placed.t3, placed.decoder
        self.precision, self.notice = placed.precision.why, placed.notice
        self.strategy = "cached" if placed.device.type == "cpu" else "context"
        self._fingerprint = fingerprint(self._folder / read_config(self._folder).t3_file)
        self._store = VoiceStore(chosen.voices_dir, self._folder)
        self._voices = LoadedVoices(self._store, self._load_voice)

    def voices(self) -> list[str]:
        """`default`, where it came with the weights, and the cached voices.

        Raises `MissingError` where there is none.
        """
        return self._store.speakable()

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. No chunk for a text without a letter or digit.

        `simple` mode decodes all tokens of a segment at once, as upstream's `ChatterboxTurboTTS.generate` does.
        """
        return apart(self._stream(segments, voice, ChatterboxOptions.of(options)))

    def close(self) -> None:
        """Let go of the voices; the models go with the engine."""
        self._voices.clear()

    def _stream(self, segments: Segments, name: str, options: ChatterboxOptions) -> Generator[AudioChunk, None, None]:
        if options.strategy == AUTO:
            options = replace(options, strategy=self.strategy)
        voice = self._voices.get(name)
        with self._budget.taking_part():
            yield from in_order(segments, partial(self._segment, voice=voice, options=options))

    def _segment(self, segment: Segment, voice: Voice, options: ChatterboxOptions) -> Iterator[AudioChunk]:
        text = normalise(segment.text, segment.ending)
        if not any(character.isalnum() for character in text):
            return
        options = replace(options, seed=segment.seed(options.seed))
        threads = self._budget.share()
        # The ways that `cached` is compared with are decoded in the chunks that were asked for, and no others.
        when = schedule(options.chunk, soon=options.strategy == "cached")
        guard = Guard(token_budget(text) if options.guard and options.tokens is None else None)
        tokens = self._tokens(text, voice.prefix, options, when.first, guard, threads)
        marks = self._marker.stream() if self._marker else None
        with closing(self._sound(tokens, voice, options, when, threads)) as sound:
            told = ""
            for samples in sound:
                if len(samples):
                    # The silence at the end is drawn after the guard's verdict, so a chunk always follows that.
                    notice = guard.verdict if not told else ""
                    told = told or notice
                    marked = marks.push(samples) if marks else samples
                    yield AudioChunk(marked, self.sample_rate, segment, notice)

    def _tokens(
        self,
        text: str,
        prefix: T3Prefix,
        options: ChatterboxOptions,
        first: int,
        guard: Guard,
        threads: Threads,
    ) -> Iterator[int]:
        """The tokens to decode: those that mean sound, and the silence that ends every utterance.

        The `first` are drawn with all threads. After the last one `guard` knows whether it stopped them.
        """
        use(threads.all)  # until there is enough for the other stages to begin with
        ids = self._tokenizer.encode(text)
        request = TokenRequest(prefix, ids, options.sampling, options.seed, guard.most, options.tokens)
        for number, token in enumerate(self._t3.tokens(request), start=1):
            if options.mode == "streaming" and options.parallel and number == first:
                use(threads.t3)
            stopped = options.tokens is None and guard.stops(token)
            if token < SPEECH_VOCABULARY:
                yield token
            if stopped:
                break
        if options.tokens is None:
            yield from [SILENCE] * TRAILING_SILENCE

    def _sound(
        self, tokens: Iterator[int], voice: Voice, options: ChatterboxOptions, when: Schedule, threads: Threads
    ) -> Generator[Samples, None, None]:
        gen = voice.conditionals.gen
        if options.mode == "simple":
            yield self._decoder.whole(gen, list(tokens), options.seed)
            return

        def begin() -> S3GenStream:
            past = voice.past() if options.strategy == "cached" else None
            return self._decoder.stream(gen, options.strategy, options.seed, past=past)

        if options.parallel:
            yield from side_by_side(tokens, begin, when, options.chunk, threads)
        else:
            yield from in_turn(tokens, begin(), when)

    def _load_voice(self, name: str, path: Path) -> Voice:
        conditionals = Conditionals.load(path)
        prefix = prefix_of(conditionals, self._store.prefix_path(name), self._fingerprint, self._t3)
        if self._prompt_seconds is not None:
            conditionals = conditionals.shortened(self._prompt_seconds)
        flow = self._store.flow_path(name)
        return Voice(conditionals, prefix, lambda: past_of(conditionals.gen, flow, self._folder, self._decoder))
