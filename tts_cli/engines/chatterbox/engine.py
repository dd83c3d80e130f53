"""Chatterbox as an engine: text → tokens → sound → watermark.

Sound is computed for one segment at a time, tokens also for the next ones.

Speaking does not import upstream's package. It needs torch, safetensors and tokenizers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from tts_cli.audio import TOKEN_RATE, AudioChunk, Samples
from tts_cli.engines import EngineSettings, Segments, SpeakOptions
from tts_cli.engines.chatterbox.device_placement import place
from tts_cli.engines.chatterbox.options import AUTO, ChatterboxOptions, ChatterboxSettings
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenStream
from tts_cli.engines.chatterbox.sample_rate import SAMPLE_RATE
from tts_cli.engines.chatterbox.schedule.batching import DrawnText, TokenBatcher
from tts_cli.engines.chatterbox.schedule.drawn_tokens import Tokens
from tts_cli.engines.chatterbox.schedule.earliest_deadline import Turns
from tts_cli.engines.chatterbox.schedule.policy import Listener
from tts_cli.engines.chatterbox.schedule.prefetched_segments import PrefetchedSegments
from tts_cli.engines.chatterbox.schedule.sizes import MOST, chunk_sizes
from tts_cli.engines.chatterbox.schedule.stages import in_turn, side_by_side
from tts_cli.engines.chatterbox.schedule.threads import Budget, Threads, use, with_own_threads
from tts_cli.engines.chatterbox.t3.batch import Batch
from tts_cli.engines.chatterbox.t3.model import TokenRequest
from tts_cli.engines.chatterbox.t3.prompt import TextTokenizer, normalise
from tts_cli.engines.chatterbox.t3.sampling import SILENCE, TRAILING_SILENCE, Guard, token_budget
from tts_cli.engines.chatterbox.tuning.plan import plan_for
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals, prefix_of
from tts_cli.engines.chatterbox.voice.loaded import LoadedVoices, Voice
from tts_cli.engines.chatterbox.voice.past import past_of
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.engines.chatterbox.watermark import Watermarker
from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY, read_config
from tts_cli.engines.chatterbox.weights.locate import locate
from tts_cli.engines.chatterbox.weights.tensors import fingerprint
from tts_cli.engines.in_order import in_order
from tts_cli.engines.prefetch import Prefetch
from tts_cli.segment import Segment


class ChatterboxEngine:
    """Chatterbox Turbo or Nano, streamed.

    Parameters
    ----------
    settings
        `ChatterboxSettings`. With an `EngineSettings`, all of Chatterbox's settings have their defaults.

    Raises
    ------
    MissingError
        If the weights, the device or, with `settings.watermark`, the watermarker are missing.
    ModelError
        If the weights are damaged.
    UsageError
        If the device cannot compute in the precision.
    """

    name = "chatterbox"
    sample_rate = SAMPLE_RATE
    paced = False

    def __init__(self, settings: EngineSettings) -> None:
        chosen = settings if isinstance(settings, ChatterboxSettings) else ChatterboxSettings()
        self._folder = locate(chosen.model, chosen.model_dir)
        plan = plan_for(chosen, self._folder)
        self._budget = Budget(plan.threads)
        self._prompt_seconds = chosen.prompt_seconds
        with ThreadPoolExecutor(1) as pool:
            tokenizer = pool.submit(TextTokenizer, self._folder)
            marker = pool.submit(Watermarker.load) if chosen.watermark else None
            placed = place(self._folder, chosen.device, chosen.precision, chosen.flow_steps, timed=plan.timed)
            self._tokenizer = tokenizer.result()
            self._marker = marker.result() if marker is not None else None
        self._t3, self._decoder = placed.t3, placed.decoder
        self._turns = Turns(self._budget.places)
        together = self._t3.batch_step is not None
        self._batcher = TokenBatcher(Batch(self._t3), self._budget, self._turns) if together else None
        self.capacity = self._budget.capacity(together=self._batcher is not None)
        self.precision = placed.precision.why
        self.notice = "; ".join(filter(None, (placed.notice, plan.stored.notice)))
        self.strategy = plan.strategy(placed.device.type)
        self.chosen = plan.chosen(placed.device.type, placed.precision.t3, self._budget.total)
        self.if_slow = plan.if_slow
        self._fingerprint = fingerprint(self._folder / read_config(self._folder).t3_file)
        self._store = VoiceStore(chosen.voices_dir, self._folder)
        self._voices = LoadedVoices(self._store, self._load_voice)

    def voices(self) -> list[str]:
        """Names of the voices: `default`, if it came with the weights, and the voices of the voices folder.

        Raises `MissingError` if there are none.
        """
        return self._store.speakable()

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. A segment without a letter or digit gives no chunk.

        In `simple` mode, all tokens of a segment are decoded at once, as in `ChatterboxTurboTTS.generate` of
        chatterbox-tts 0.1.7.
        """
        return with_own_threads(self._stream(segments, voice, ChatterboxOptions.of(options)))

    def settle(self) -> None:
        """See `Engine.settle`: packs T3's weights."""
        self._t3.settle()

    def close(self) -> None:
        """Release the voices. The models are released with the engine itself."""
        self._voices.clear()

    def _stream(self, segments: Segments, name: str, options: ChatterboxOptions) -> Generator[AudioChunk, None, None]:
        if options.strategy == AUTO:
            options = replace(options, strategy=self.strategy)
        voice = self._voices.get(name)
        listener = Listener()
        with self._budget.taking_part():
            if self._batcher is None or not options.parallel or options.mode == "simple":
                speak = partial(self._segment, segments=segments, voice=voice, options=options, listener=listener)
                yield from in_order(segments, speak)
            else:
                with closing(self._batcher.text(listener)) as text:
                    yield from self._together(text, segments, voice, options, listener)

    def _together(
        self, text: DrawnText, segments: Segments, voice: Voice, options: ChatterboxOptions, listener: Listener
    ) -> Generator[AudioChunk, None, None]:
        """Speak segments whose tokens are drawn in one batch, with those of other texts."""

        def begin(segment: Segment) -> Tokens | None:
            request = self._request(segment, voice, options)
            if request is None:
                return None
            # A second guard gets the same tokens when they are decoded, and its verdict is reported.
            stops = self._guard(segment, options).stops if options.tokens is None else _never

            return text.begin(request, stops, _first_size(options), lambda: segment.number >= segments.wanted)

        ahead = PrefetchedSegments(segments, text, options.parallel_segments, begin)

        def speak(segment: Segment) -> Iterator[AudioChunk]:
            try:
                if (drawn := ahead.tokens(segment)) is None:
                    return
                ahead.prefetch()  # before the first chunk, so that a long text is known to be long
                for chunk in self._segment(segment, segments, voice, options, listener, drawn):
                    yield replace(chunk, half_computed=text.waiting / TOKEN_RATE)
                    ahead.prefetch()
            finally:
                ahead.done(segment)

        yield from in_order(ahead, speak)

    def _segment(
        self,
        segment: Segment,
        segments: Segments,
        voice: Voice,
        options: ChatterboxOptions,
        listener: Listener,
        drawn: Tokens | None = None,
    ) -> Iterator[AudioChunk]:
        """The sound of one segment. `drawn` are its tokens, if a batch draws them."""
        request = self._request(segment, voice, options)
        if request is None:
            return
        options = replace(options, seed=request.seed)
        threads = self._budget.share()
        guard = self._guard(segment, options)
        alone = self._alone(request, options, threads)

        def wanted() -> bool:
            return segment.number >= segments.wanted

        tokens = _spoken(drawn or alone, guard if options.tokens is None else None, wanted)
        marks = self._marker.stream() if self._marker else None
        computed = self._sound(tokens, drawn, voice, options, threads, listener, segment.number == 0)
        with suppress(_UnwantedError), closing(computed) as sound:
            noticed = ""
            for samples in sound:
                if len(samples):
                    # Silence is appended after the guard has stopped the tokens, so a chunk always follows the verdict.
                    notice = guard.verdict if not noticed else ""
                    noticed = noticed or notice
                    marked = marks.push(samples) if marks else samples
                    chunk = AudioChunk(marked, self.sample_rate, segment, notice)
                    listener.given(chunk.seconds / options.speed)
                    yield chunk

    def _request(self, segment: Segment, voice: Voice, options: ChatterboxOptions) -> TokenRequest | None:
        """What T3 draws for a segment; None if it has no letter or digit."""
        text = normalise(segment.text, segment.ending)
        if not any(character.isalnum() for character in text):
            return None
        ids, most = self._tokenizer.encode(text), self._guard(segment, options).most
        seed = segment.seed(options.seed)
        return TokenRequest(voice.prefix, ids, options.sampling, seed, most, options.tokens)

    @staticmethod
    def _guard(segment: Segment, options: ChatterboxOptions) -> Guard:
        if not options.guard or options.tokens is not None:
            return Guard(None)
        return Guard(token_budget(normalise(segment.text, segment.ending)))

    def _alone(self, request: TokenRequest, options: ChatterboxOptions, threads: Threads) -> Iterator[int]:
        """The tokens of one segment, those of the first chunk drawn with all threads."""
        use(threads.all)  # the other stages have no work before the first chunk is drawn
        first = _first_size(options)
        for number, token in enumerate(self._t3.tokens(request), start=1):
            if options.mode == "streaming" and options.parallel and number == first:
                use(threads.t3)
            yield token

    def _sound(
        self,
        tokens: Iterator[int],
        drawn: Tokens | None,
        voice: Voice,
        options: ChatterboxOptions,
        threads: Threads,
        listener: Listener,
        first_segment: bool,
    ) -> Generator[Samples, None, None]:
        gen = voice.conditionals.gen
        if options.mode == "simple":
            yield self._decoder.whole(gen, list(tokens), options.seed)
            return

        def begin() -> S3GenStream:
            past = voice.past() if options.strategy == "cached" else None
            return self._decoder.stream(gen, options.strategy, options.seed, past=past)

        sizes = _sizes(options, first_segment)
        with closing(self._turns.of(listener)) as turn:
            if not options.parallel:
                yield from in_turn(tokens, begin(), sizes, turn)
            elif drawn is not None:
                yield from side_by_side(tokens, begin, sizes, threads, turn)
            else:
                with closing(Prefetch(tokens, room=2 * (options.chunk or MOST))) as ahead:
                    yield from side_by_side(ahead, begin, sizes, threads, turn)

    def _load_voice(self, name: str, path: Path) -> Voice:
        conditionals = Conditionals.load(path)
        prefix = prefix_of(conditionals, self._store.prefix_path(name), self._fingerprint, self._t3)
        if self._prompt_seconds is not None:
            conditionals = conditionals.shortened(self._prompt_seconds)
        flow = self._store.flow_path(name)
        return Voice(conditionals, prefix, lambda: past_of(conditionals.gen, flow, self._folder, self._decoder))


class _UnwantedError(Exception):
    """The listener has left, or has skipped the segment."""


def _spoken(drawn: Iterator[int], guard: Guard | None, wanted: Callable[[], bool]) -> Iterator[int]:
    """The tokens to decode: those of the text, and the silence that ends every utterance.

    `guard` may stop the tokens; its `verdict` then says so. Without it, for measuring, no silence is added. If they
    are not `wanted` any more, `_UnwantedError` ends everything.
    """
    for token in drawn:
        if not wanted():
            raise _UnwantedError
        stopped = guard is not None and guard.stops(token)
        if token < SPEECH_VOCABULARY:
            yield token
        if stopped:
            break
    if guard is not None:
        yield from [SILENCE] * TRAILING_SILENCE


def _sizes(options: ChatterboxOptions, first_segment: bool) -> Iterator[int]:
    # With the other strategies, the first chunk is not made smaller, so that they are compared as they are.
    return chunk_sizes(options.chunk, options.strategy == "cached", first_segment)


def _first_size(options: ChatterboxOptions) -> int:
    """Tokens of the first chunk, which has the same size in all segments."""
    return next(_sizes(options, first_segment=True))


def _never(_token: int) -> bool:
    return False
