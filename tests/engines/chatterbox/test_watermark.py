import contextlib
import io
import warnings
from typing import Any

import numpy as np
import pytest

from tts_cli.audio import AudioChunk, Samples, as_samples
from tts_cli.engines.chatterbox import SAMPLE_RATE, watermark
from tts_cli.engines.chatterbox.watermark import FADE, Watermarker
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN
from tts_cli.errors import MissingError
from tts_cli.segment import Segment
from tts_cli.shaping.shaper import Shape, Shaper


@pytest.fixture(scope="module")
def perth() -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import perth

        return perth.PerthImplicitWatermarker()


@pytest.fixture(scope="module")
def marker() -> Watermarker:
    return Watermarker.load()


@pytest.fixture(scope="module")
def speech() -> Samples:
    from hibari import Hibari

    text = "A stream of sound carries its mark from the first chunk to the last, and nobody hears it."
    return as_samples(np.concatenate(list(Hibari(voice="heart").stream(text, seed=0))))


def streamed(marker: Watermarker, sound: Samples, chunk: int) -> Samples:
    stream = marker.stream()
    return np.concatenate([stream.push(sound[at : at + chunk]) for at in range(0, len(sound), chunk)])


def confidence(perth: Any, sound: Samples) -> float:
    return float(perth.get_watermark(sound, sample_rate=24_000, round=False).mean())


def test_the_whole_is_marked_as_perth_does(perth: Any, marker: Watermarker, speech: Samples) -> None:
    theirs = perth.apply_watermark(speech, sample_rate=24_000)
    unmarked = perth.perth_net.ap.magphase_to_signal  # the round trip alone, without a mark
    mags = perth.perth_net.ap.signal_to_magphase
    import librosa

    fast = librosa.resample(speech, orig_sr=24_000, target_sr=32_000)
    plain = librosa.resample(unmarked(*mags(fast)).numpy(), orig_sr=32_000, target_sr=24_000)
    length = min(len(plain), len(theirs), len(speech)) - 2400
    change = marker.difference(speech)[:length]
    expected = (theirs[: len(plain)] - plain)[:length]
    assert np.abs(change).max() > 1e-3
    np.testing.assert_allclose(change, expected, atol=1e-4)


@pytest.mark.parametrize("tokens", [1, 3, 10, 25, 10_000])
def test_a_streamed_mark_is_found(perth: Any, marker: Watermarker, speech: Samples, tokens: int) -> None:
    marked = streamed(marker, speech, tokens * SAMPLES_PER_TOKEN)
    assert marked.shape == speech.shape
    assert marked.dtype == np.float32
    assert confidence(perth, speech) < 0.1
    assert confidence(perth, marked) >= 0.9


@pytest.mark.parametrize("shape", [Shape(0.5), Shape(0.8), Shape(2.0), Shape(1.25, 6.0, normalize=True)])
def test_the_mark_is_found_in_shaped_sound(perth: Any, marker: Watermarker, speech: Samples, shape: Shape) -> None:
    shaper = Shaper(SAMPLE_RATE, shape)
    chunk = AudioChunk(streamed(marker, speech, 9600), SAMPLE_RATE, Segment.of("A stream."))
    shaped = [each.samples for each in (*shaper.add(chunk), *shaper.rest())]
    assert confidence(perth, np.concatenate(shaped)) > 0.8


@pytest.mark.parametrize("chunk", [960, 2880, 9600, 5000])
def test_joins_are_smooth(marker: Watermarker, speech: Samples, chunk: int) -> None:
    change = streamed(marker, speech, chunk) - speech
    joins = np.arange(chunk, len(speech) - 1, chunk)
    steps = np.abs(np.diff(change))
    at_joins = steps[joins - 1]
    assert at_joins.max() <= np.quantile(steps, 0.95)
    whole = marker.difference(speech)
    assert np.sqrt(np.mean(change**2)) <= 1.05 * np.sqrt(np.mean(whole**2)), "louder than Perth's own mark"
    assert np.abs(change[joins]).max() <= 0.02 * np.abs(whole).max(), "at a join there is only the sound"


def test_short_and_silent_stretches(marker: Watermarker) -> None:
    stream = marker.stream()
    for length in (0, 1, 2, 3, FADE, 2 * FADE + 1, 959):
        silent = np.zeros(length, np.float32)
        assert np.abs(stream.push(silent)).max(initial=0) < 1e-4
    for length in (0, 1, 2, 5, 960):
        assert stream.push(np.ones(length, np.float32)).shape == (length,)


def test_chunks_are_not_written_to(marker: Watermarker, speech: Samples) -> None:
    sound = speech[:4000].copy()
    sound.flags.writeable = False
    marker.stream().push(sound)
    assert np.array_equal(sound, speech[:4000])


def test_streams_do_not_share_a_past(marker: Watermarker, speech: Samples) -> None:
    alone = marker.stream().push(speech[:9600])
    other = marker.stream()
    other.push(speech[9600:30_000])
    assert np.array_equal(marker.stream().push(speech[:9600]), alone)


def test_without_perth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="no-watermark"):
        Watermarker.load()
