"""`--speed`, `--volume` and `--normalize`, with an engine that does none of it itself, and with the built-in voice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.harness import Run

TONE = ("--engine", "tests.sample_engines:ToneEngine")


@pytest.mark.parametrize("mode", ["streaming", "simple"])
def test_speed_and_volume_are_for_every_engine(tts: Run, tmp_path: Path, mode: str) -> None:
    def spoken(name: str, *options: str) -> tuple[Any, dict[str, Any]]:
        text = "It rained all day, and nobody went out."
        done = tts("speak", text, *TONE, "--mode", mode, *options, "-o", name, "--json", "--quiet")
        assert done.returncode == 0
        return soundfile.read(tmp_path / name)[0], json.loads(done.stdout)

    plain, before = spoken("plain.wav")
    fast, after = spoken("fast.wav", "--speed", "2")
    assert len(fast) == round(len(plain) / 2)
    assert after["audio_ms"] == after["delivered_ms"] == pytest.approx(before["audio_ms"] / 2, abs=0.1)
    assert np.abs(fast[1000:-1000]).max() == pytest.approx(np.abs(plain).max(), abs=0.01)
    quiet, _ = spoken("quiet.flac", "--volume", "-20")
    np.testing.assert_allclose(quiet, plain / 10, atol=1e-4)
    loud, _ = spoken("loud.wav", "--volume", "30")
    assert len(loud) == len(plain)
    assert 0.8 < np.abs(loud).max() < 0.9, "the limiter lets nothing clip"


def test_a_pause_is_given_in_milliseconds(tts: Run) -> None:
    def length(pause: str) -> float:
        done = tts("speak", "It rains.\n\nIt pours.", *TONE, "--pause", pause, "-o", "x.wav", "--json", "--quiet")
        assert done.returncode == 0
        return float(json.loads(done.stdout)["audio_ms"])

    assert length("1200") == pytest.approx(length("0") + 1200, abs=0.1)


def test_normalized_speech_has_the_loudness_of_podcasts(tts: Run, tmp_path: Path) -> None:
    text = "The weather is nice today and we want to go for a walk. " * 6
    assert tts("speak", text, "--engine", "builtin", "--normalize", "-o", "x.wav").returncode == 0
    sound, rate = soundfile.read(tmp_path / "x.wav")
    import pyloudnorm

    assert pyloudnorm.Meter(rate).integrated_loudness(sound) == pytest.approx(-16, abs=1)


def test_subtitles_of_stretched_sound_follow_it(tts: Run, tmp_path: Path) -> None:
    text = "It rained. Nobody went out, and nobody came in."
    for speed in ("1", "2"):
        options = ("--speed", speed, "-o", "x.wav", "--subtitles", f"{speed}.json")
        assert tts("speak", text, *TONE, *options).returncode == 0
    slow, fast = (json.loads((tmp_path / f"{speed}.json").read_text())["sentences"] for speed in ("1", "2"))
    assert [cue["text"] for cue in fast] == [cue["text"] for cue in slow]
    for name in ("start", "end"):
        assert [cue[name] for cue in fast] == pytest.approx([cue[name] / 2 for cue in slow], abs=0.01)


def test_a_file_of_settings_can_have_them(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("speed = 2\nvolume = 3.5\n[engines.builtin]\nnormalize = true\n")
    home = environment | {"TTS_CONFIG_DIR": str(tmp_path)}

    def length(*options: str) -> float:
        done = tts("speak", "It rained.", *TONE, *options, "-o", "x.wav", "--json", "--quiet", env=home)
        assert done.returncode == 0
        return float(json.loads(done.stdout)["audio_ms"])

    assert length() == pytest.approx(length("--speed", "1") / 2, abs=0.1)
    shown = tts("config", "show", env=home).stdout.decode()
    assert all(word in shown for word in ("speed", "volume", "engines.builtin.normalize"))
