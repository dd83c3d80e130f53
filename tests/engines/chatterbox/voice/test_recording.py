"""Recordings of every format, and those that no voice can be made of."""

from pathlib import Path
from typing import Any

import av
import librosa
import numpy as np
import pytest
import soundfile

from tests.engines.chatterbox.voice.given import speech
from tts_cli.engines.chatterbox.voice import recording
from tts_cli.engines.chatterbox.voice.recording import read_recording
from tts_cli.errors import UsageError


@pytest.mark.parametrize(
    ("name", "sound", "rate", "message"),
    [
        ("short.wav", speech(5.0, 24_000), 24_000, "too short: 5.0 s"),
        ("empty.wav", np.zeros((0, 1)), 16_000, "too short"),
        ("silent.wav", np.zeros((16_000 * 6, 1)), 16_000, "silent"),
        ("clipped.wav", np.clip(8 * speech(6, 16_000), -1, 1), 16_000, "clipped"),
        ("clipped.flac", np.clip(8 * speech(6, 16_000, 2), -1, 1), 16_000, "clipped"),
    ],
)
def test_recordings_that_cannot_be_cloned(tmp_path: Path, name: str, sound: Any, rate: int, message: str) -> None:
    file = tmp_path / name
    soundfile.write(file, sound, rate)
    with pytest.raises(UsageError, match=message):
        read_recording(file)


def test_no_numbers(tmp_path: Path) -> None:
    sound = speech(6, 16_000)
    sound[77] = np.nan
    soundfile.write(tmp_path / "v.wav", sound, 16_000, subtype="FLOAT")
    with pytest.raises(UsageError, match="not finite numbers"):
        read_recording(tmp_path / "v.wav")


def test_files_that_are_no_sound(tmp_path: Path) -> None:
    for name, content in (("text.wav", b"hello"), ("a.mp3", b""), ("b.m4a", bytes(3000))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="cannot be read as sound"):
            read_recording(tmp_path / name)
    for missing in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(UsageError, match="no file"):
            read_recording(missing)
    file = tmp_path / "cut.flac"
    soundfile.write(file, speech(8, 24_000), 24_000)
    content = file.read_bytes()
    for cut in (3, 50, len(content) // 2):
        file.write_bytes(content[:cut])
        with pytest.raises(UsageError):
            read_recording(file)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 1)])
def test_any_format_rate_and_channel_count(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    file = tmp_path / f"v.{suffix}"
    soundfile.write(file, speech(5.5, rate, channels), rate)
    sound, seconds = read_recording(file)
    assert seconds == pytest.approx(5.5, abs=0.1)
    assert len(sound) == pytest.approx(5.5 * 24_000, abs=2400)
    assert 0.05 < np.abs(sound).max() <= 1.1


def encode(file: Path, sound: Any, rate: int, codec: str) -> None:
    """Write float `[frames, channels]` with FFmpeg's encoder."""
    layout = "stereo" if sound.shape[1] == 2 else "mono"
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T, np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size)
        for block in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(block))


def as_upstream_loads(file: Path) -> Any:
    """What `librosa.load` makes of the 16-bit samples that FFmpeg's program gives it, at 24 kHz."""
    with av.open(str(file)) as container:
        to_16_bit = av.AudioResampler(format="s16p")
        blocks = [block for frame in container.decode(audio=0) for block in to_16_bit.resample(frame)]
    sound = librosa.util.buf_to_float(np.concatenate([block.to_ndarray() for block in blocks], axis=1).ravel())
    mono = librosa.to_mono(sound.reshape(len(blocks[0].layout.channels), -1))
    return librosa.resample(mono, orig_sr=blocks[0].sample_rate, target_sr=24_000)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("v.m4a", "aac", 44_100, 2),
        ("a:b.aac", "aac", 48_000, 1),
        ("v.mka", "ac3", 48_000, 2),
    ],
)
def test_what_libsndfile_does_not_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, codec: str, rate: int, channels: int
) -> None:
    """m4a is what a telephone records."""
    plain = tmp_path / f"v{Path(name).suffix}"
    encode(plain, speech(5.5, rate, channels), rate, codec)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(plain)
    file = plain.rename(tmp_path / name)
    sound, seconds = read_recording(file)
    assert seconds == pytest.approx(5.5, abs=0.1)
    expected = as_upstream_loads(file.rename(plain))
    assert len(sound) == len(expected)
    np.testing.assert_allclose(sound, expected, rtol=0, atol=2 / 2**15)
    assert capfd.readouterr() == ("", "")


def test_only_the_first_minutes_of_a_long_m4a_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "v.m4a", speech(9, 16_000), 16_000, "aac")
    monkeypatch.setattr(recording, "LONGEST", 7)
    sound, seconds = read_recording(tmp_path / "v.m4a")
    assert seconds == pytest.approx(9, abs=0.1)
    assert len(sound) == 7 * 24_000


def test_an_m4a_that_was_cut_off_or_holds_no_sound(tmp_path: Path) -> None:
    file = tmp_path / "v.m4a"
    encode(file, speech(6, 16_000), 16_000, "aac")
    content = file.read_bytes()
    for cut in (3, 50, len(content) // 2):
        file.write_bytes(content[:cut])
        with pytest.raises(UsageError, match="cannot be read as sound"):
            read_recording(file)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:6,\nhttp://127.0.0.1:9/v.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UsageError, match="cannot be read as sound"):
        read_recording(tmp_path / "list.m3u8")


def test_a_normal_level_is_not_called_clipped(tmp_path: Path) -> None:
    sound = speech(6, 16_000)
    soundfile.write(tmp_path / "v.wav", sound / np.abs(sound).max(), 16_000)
    read_recording(tmp_path / "v.wav")


def test_only_the_first_minutes_of_a_long_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "v.wav", speech(9, 8000), 8000)
    monkeypatch.setattr(recording, "LONGEST", 7)
    sound, seconds = read_recording(tmp_path / "v.wav")
    assert seconds == pytest.approx(9)
    assert len(sound) == 7 * 24_000
