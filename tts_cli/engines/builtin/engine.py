"""The engine of the built-in voice, hibari-tts. It needs onnxruntime, and neither a network nor torch.

The network is not autoregressive: it predicts the spectra of a whole sentence at once, in a few tens of milliseconds.
Most of the time is spent computing samples from the spectra. That is done here block by block, so the first sound is
there before the sentence is finished.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tts_cli.audio import TOKEN_RATE, AudioChunk, Samples, SpokenWord
from tts_cli.engines import EngineSettings, Segments, SpeakOptions
from tts_cli.engines.builtin import SAMPLE_RATE, VOICE
from tts_cli.engines.builtin.blocks import rechunk, trim_silence
from tts_cli.engines.builtin.words import phoneme_words, spoken_words, with_lengths
from tts_cli.engines.in_order import in_order
from tts_cli.errors import MissingError, UsageError
from tts_cli.segment import Segment
from tts_cli.text.characters import plain

if TYPE_CHECKING:
    from hibari import Hibari

CHUNK: Final = 10
"""The length of a chunk in tokens, if the engine chooses it. This engine is always far ahead of the listener."""
MAX_PHONEMES: Final = 400
"""The longest phoneme string that the model accepts (`hibari.tts.MAX_PHONEMES`)."""
CLAUSE_PAUSE: Final = 0.4
"""The pause after a part of a sentence that was cut at a comma, colon or dash, over the pause after a sentence."""
CUT_PAUSE: Final = 0.1
"""The same for a part that was cut anywhere else: enough to keep two words apart."""

KNOWN: Final = "²³´µ…¼½¾™ʰʲᵊ"
"""Special characters that the voice's library reads well, so that they are not replaced."""

# The voice's library has no name for 10³⁶ and more: such a number is read digit by digit.
_ENDLESS_NUMBER = re.compile(r"\d(?:,?\d){36,}")
_WORD_OR_DIGIT = re.compile(r"[^\W\d_]+|\d|[.,;:!?]")
_PHONEME_CUT = re.compile(r"(?<=[.!?,;:—…])\s+")


class BuiltinEngine:
    """English, with one voice. It computes one sentence at a time, about a hundred times faster than it plays.

    Parameters
    ----------
    settings
        Empty; the engine has no settings.

    Raises
    ------
    MissingError
        If hibari-tts is not installed.
    """

    name = "builtin"
    sample_rate = SAMPLE_RATE
    capacity = 8
    precision = ""
    strategy = ""

    def __init__(self, settings: EngineSettings) -> None:
        del settings
        # Otherwise onnxruntime 1.32 sends reports to its maker, and stores an identifier of this machine for that.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            from hibari import Hibari
            from hibari.voices import voice_path
            from onnxruntime import RunOptions
        except ImportError as error:
            raise MissingError(
                f"the built-in voice is not installed ({error})", "run: pip install hibari-tts==0.2.1"
            ) from error
        self._hibari: Hibari = Hibari(voice=VOICE, model=with_lengths(Path(voice_path(VOICE))))
        # By default, onnxruntime does not release the memory for the longest sentence so far: 134 MB and more.
        self._run_options = RunOptions()
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._pronounce = self._hibari.g2p
        self._pronouncing = threading.Lock()

    def voices(self) -> list[str]:
        """The name of the one voice."""
        return [VOICE]

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. Chunks have the length of `options.chunk` tokens; the last of a sentence may be shorter.

        The next sentence is computed while the current one is given.
        """
        if voice != VOICE:
            raise UsageError(f"the built-in engine has no voice {voice!r}", f"its voice is {VOICE!r}")
        length = (options.chunk or CHUNK) * SAMPLE_RATE // TOKEN_RATE

        def speak(segment: Segment) -> Iterator[AudioChunk]:
            words: list[SpokenWord] = []
            for samples in rechunk(self._sentence(segment, length, options, words.extend), length):
                yield AudioChunk(samples, self.sample_rate, segment, words=tuple(words))
                words.clear()

        return in_order(segments, speak, ahead=True)

    def close(self) -> None:
        """Do nothing: the engine holds nothing open."""

    def phonemes(self, text: str) -> str:
        """The phonemes of `text`."""
        readable = plain(text, KNOWN)
        readable = _ENDLESS_NUMBER.sub(lambda number: " ".join(number[0].replace(",", "")), readable)
        with self._pronouncing:
            try:
                return str(self._pronounce(readable))
            except Exception:  # noqa: BLE001  the library fails on rare combinations of digits and marks
                return str(self._pronounce(" ".join(_WORD_OR_DIGIT.findall(readable))))

    def _sentence(
        self, segment: Segment, length: int, options: SpeakOptions, tell: Callable[[tuple[SpokenWord, ...]], None]
    ) -> Iterator[Samples]:
        """Its sound. `tell` gets its words before the first sample, unless the sentence is spoken in parts."""
        pause = options.pause * {"clause": CLAUSE_PAUSE, "cut": CUT_PAUSE}.get(segment.ending, 1.0)
        seed = segment.seed(options.seed)
        phonemes = self.phonemes(segment.text)
        *parts, last = split_phonemes(phonemes, MAX_PHONEMES) or [""]
        for part in parts:
            spectra, _ = self._spectra(part, options.speed)
            yield from trim_silence(_blocks(spectra, length, seed), pause * CLAUSE_PAUSE)
        spectra, lengths = self._spectra(last, options.speed)

        def begins(dropped: int) -> None:
            if not parts:
                spoken = phoneme_words(phonemes, self._hibari.vocab.__contains__, lengths)
                moved = [(begin - dropped, end - dropped) for begin, end in spoken]
                tell(spoken_words(segment.text, moved, self._count))

        yield from trim_silence(_blocks(spectra, length, seed), pause, begins)

    def _count(self, word: str) -> int:
        """How many words are spoken for one that is written with digits or signs."""
        return sum(any(char.isalpha() for char in spoken) for spoken in self.phonemes(word).split(" "))

    def _spectra(self, phonemes: str, speed: float) -> tuple[list[Any], list[float]]:
        """The spectra of a sentence, and the lengths of its phonemes; empty if it has none."""
        ids = self._hibari.ids(phonemes)
        if len(ids) < 3:
            return [], []
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.full(1, speed, np.float32)}
        *spectra, lengths = self._hibari.sess.run(None, inputs, self._run_options)
        return [output[0] for output in spectra], lengths.tolist()


def _blocks(spectra: list[Any], length: int, seed: int) -> Iterator[Samples]:
    return decode_blocks(spectra, np.random.default_rng(seed), length) if spectra else iter(())


def split_phonemes(phonemes: str, limit: int) -> list[str]:
    """Cut a phoneme string into parts of at most `limit` characters.

    After punctuation if possible, otherwise at a space, otherwise anywhere.

    Examples
    --------
    >>> split_phonemes("one two, three", 10)
    ['one two,', 'three']
    """
    parts: list[str] = []
    for clause in _PHONEME_CUT.split(phonemes):
        rest = clause
        if parts and len(parts[-1]) + 1 + len(rest) <= limit:
            parts[-1] += " " + rest
            continue
        while len(rest) > limit:
            cut = rest.rfind(" ", 1, limit)
            cut = cut if cut > 0 else limit
            parts.append(rest[:cut])
            rest = rest[cut:].lstrip()
        if rest:
            parts.append(rest)
    return parts


def decode_blocks(spectra: list[Any], rng: np.random.Generator, length: int) -> Iterator[Samples]:
    """The samples of a sentence, by an inverse STFT with overlap-add, block by block.

    All blocks together equal the result of `hibari.dsp.synth` (hibari-tts 0.2.1) with the same noise. A frame reaches
    over four hops, so three unfinished hops are carried from block to block.

    Parameters
    ----------
    spectra
        The outputs of the network: log magnitude and phase of the harmonics, log magnitude of the noise, log magnitude
        and phase of the rest (each `[601, frames]`), and F0 `[frames]`.
    rng
        Draws the noise.
    length
        Samples in a block, approximately.

    Yields
    ------
    Samples
        `[n]`; `hop` × `frames` samples in all.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", IEEE Transactions on Acoustics,
    Speech, and Signal Processing 32 (2), 1984: the sum of windowed frames over the sum of squared windows.
    """
    from hibari import dsp

    harmonic, turn, noise_level, rest, rest_phase, f0 = spectra
    hop, size, overlap = dsp.HOP, dsp.N_FFT, dsp.N_FFT // dsp.HOP
    frames = len(f0)
    pulses = np.pad(dsp.pulses(f0), size // 2, mode="reflect")
    noise = rng.standard_normal((len(harmonic), 2 * frames), dtype=np.float32).view(np.complex64)
    weight = (dsp.WIN * dsp.WIN).reshape(overlap, hop)

    carried = np.zeros((overlap - 1, hop), np.float32)
    step = max(1, -(-length // hop))
    for start in range(0, frames, step):
        stop = min(start + step, frames)
        now = slice(start, stop)
        excitation = np.lib.stride_tricks.sliding_window_view(pulses, size)[::hop][now] * dsp.WIN_SRC
        spectrum = dsp.rfft(excitation, 1).T
        spectrum = spectrum * _polar(dsp.ex(harmonic[:, now]), np.pi * np.tanh(turn[:, now]))
        spectrum += dsp.ex(noise_level[:, now]) * noise[:, now]
        spectrum += _polar(dsp.ex(rest[:, now]), rest_phase[:, now])
        windows = dsp.irfft(spectrum.T, size, 1) * dsp.WIN

        rows = np.zeros((stop - start + overlap - 1, hop), np.float32)
        rows[: overlap - 1] = carried
        for k in range(overlap):
            rows[k : k + stop - start] += windows.reshape(-1, overlap, hop)[:, k]
        carried = rows[stop - start :].copy()

        # The transform is centred: half a window at each end of the sentence lies outside and is not sound.
        first = max(start, overlap // 2)
        last = stop if stop < frames else frames + overlap // 2
        if first < last:
            yield (rows[first - start : last - start] / _window_sum(weight, first, last, frames)).reshape(-1)


def _polar(magnitude: Any, phase: Any) -> Any:
    out = np.empty(phase.shape, np.complex64)
    out.real = magnitude * np.cos(phase)
    out.imag = magnitude * np.sin(phase)
    return out


def _window_sum(weight: Any, first: int, last: int, frames: int) -> Any:
    """The sum of squared windows for the hops `first` to `last`: constant inside, smaller at both ends."""
    total = np.zeros((last - first, weight.shape[1]), np.float32)
    for k, part in enumerate(weight):
        frame = np.arange(first, last) - k
        total[(frame >= 0) & (frame < frames)] += part
    return np.maximum(total, 1e-11)
