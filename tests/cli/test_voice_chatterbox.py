"""Chatterbox's voices on the command line: made of a recording, listed, shown and removed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch

from tests.harness import Run, complaint
from tests.terminal import terminal


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Without weights but those that a test names, and quick on networks that are small."""
    home = {"HF_HOME": str(tmp_path / "hugging face"), "TTS_VOICES_DIR": str(tmp_path / "voices")}
    return environment | home | {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class TestVoices:
    def test_listed_shown_and_removed(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        voices = tmp_path / "voices"
        voices.mkdir()
        shutil.copy(tiny / "conds.pt", voices / "bob.pt")
        (voices / "bob.json").write_text(json.dumps({"source": "bob.mp3", "duration": 6.5}))
        listed = tts("voice", "list", "--model-dir", str(tiny)).stdout.decode()
        assert re.findall(r"^ (\w+) +(\w+) +(.+?) *$", listed, re.MULTILINE)[1:] == [
            ("heart", "builtin", "ships with the engine"),
            ("default", "chatterbox", "ships with the engine"),
            ("bob", "chatterbox", "bob.mp3"),
        ]
        shown = tts("voice", "info", "bob").stdout.decode().splitlines()
        assert dict(line.split(maxsplit=1) for line in shown) == {
            "name": "bob",
            "engine": "chatterbox",
            "path": str(voices / "bob.pt"),
            "source": "bob.mp3",
            "duration": "6.5",
        }
        assert tts("voice", "remove", "bob").returncode == 0
        assert list(voices.iterdir()) == []
        gone = tts("voice", "info", "bob")
        assert gone.returncode == 2
        assert "'bob'" in complaint(gone)

    @pytest.mark.parametrize(
        ("sound", "says"),
        [
            (np.full(5 * 16_000, 0.1), "too short: 5.0 s"),
            (np.zeros(6 * 16_000), "is silent"),
            (b"RIFF and nothing", "cannot be read as sound"),
        ],
        ids=["short", "silent", "corrupt"],
    )
    def test_a_recording_that_cannot_be_cloned(
        self, tts: Run, tiny: Path, tmp_path: Path, sound: npt.NDArray[np.float64] | bytes, says: str
    ) -> None:
        file = tmp_path / "qb.wav"
        if isinstance(sound, bytes):
            file.write_bytes(sound)
        else:
            soundfile.write(file, sound, 16_000)
        done = tts("voice", "cache", "qb.wav", "--model-dir", str(tiny))
        assert done.returncode == 2
        assert says in complaint(done)
        assert [path.name for path in tmp_path.iterdir()] == ["qb.wav"]

    @pytest.mark.slow
    def test_a_recording_becomes_a_voice(
        self, tts: Run, cloning: Path, environment: dict[str, str], tmp_path: Path
    ) -> None:
        text = (
            "This recording is made by the voice that is built in. It is there to be cloned, and long enough for that."
        )
        assert tts("speak", text, "--voice", "heart", "-o", "qb.mp3").returncode == 0
        voices = tmp_path / "voices"
        voices.mkdir()
        (voices / "qb.pt").write_bytes(b"another voice")
        taken = tts("voice", "cache", "qb.mp3", "--model-dir", str(cloning))
        assert taken.returncode == 2
        assert re.search("'qb'.*--force", complaint(taken))
        assert [path.name for path in voices.iterdir()] == ["qb.pt"]

        arguments = ("voice", "cache", "qb.mp3", "--force", "--model-dir", str(cloning))
        # A package that upstream imports leaves a temporary folder to the interpreter's end.
        environment["PYTHONWARNINGS"] += ",ignore:Implicitly cleaning up:ResourceWarning"
        environment["TTS_CACHE_DIR"] = str(tmp_path / "cache")
        with terminal(*arguments, environment=environment, folder=tmp_path) as shown:
            for step in ("loading the speech tokenizer", "computing the voice"):
                shown.wait_for(step)
            assert shown.end() == 0
        assert re.search(r"speak with it: .*--voice qb", shown.screen)
        assert re.search(r"timed this machine: cpu, \w+, \w+, \d+ threads", shown.screen)
        (timed,) = (tmp_path / "cache").glob("tuning-*.json")
        assert json.loads(timed.read_text())["rows"]
        assert {path.name for path in voices.iterdir()} == {
            "qb.pt",
            "qb.json",
            "qb.t3.safetensors",
            "qb.flow.safetensors",
        }
        content = torch.load(voices / "qb.pt", weights_only=True)
        assert content["t3"]["cond_prompt_speech_tokens"].shape[1] > 125
        told = tts("voice", "info", "qb").stdout.decode()
        assert "qb.mp3" in told
        assert hashlib.sha256((tmp_path / "qb.mp3").read_bytes()).hexdigest() in told
