"""`tts tune` as its users meet it, and what `tts speak` makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from tests.harness import Run, complaint
from tests.loudspeaker import PCM
from tests.terminal import terminal
from tts_cli.cli.tune import tune_once
from tts_cli.engines.chatterbox.tuning.rule import Row, Way
from tts_cli.engines.chatterbox.tuning.store import read, write

SAMPLES = "tests.sample_engines:"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, in this process and in those that it starts."""
    monkeypatch.setenv("TTS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def environment(cache: Path, environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    home = {"HF_HOME": str(tmp_path / "hugging face"), "TTS_VOICES_DIR": str(tmp_path / "voices")}
    return environment | home | {"TTS_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}


class TestTuning:
    def test_its_json_is_all_it_prints_and_auto_follows_its_choice(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        def speak(*options: str) -> tuple[PCM, Any]:
            common = ("--model-dir", str(tiny), "-o", "x.wav", "--json", "-q", "--no-watermark")
            done = tts("speak", "Hi.", *common, *options)
            assert done.returncode == 0, done.stderr
            return soundfile.read(tmp_path / "x.wav", dtype="int16")[0], json.loads(done.stdout)["auto"]

        done = tts("tune", "--model-dir", str(tiny), "--json")
        assert (done.returncode, done.stderr) == (0, b"")
        report = json.loads(done.stdout)
        choice = report["choice"]
        assert {"rows", "left_out", "machine", "seconds", "limit"} < report.keys()
        assert read(tiny).state == "measured"
        sound, auto = speak()
        names = ("device", "precision", "strategy", "threads")
        assert auto == {name: choice[name] for name in names} | {"measured": True}
        given, none = speak(*(f"--{name}={choice[name]}" for name in names))
        assert none is None, "nothing was left to it"
        assert np.array_equal(sound, given)

    def test_another_row_that_is_written_is_followed(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        way = Way("cpu", "fp32", "overlap", 1)
        write([Row(way, 0.5)], tiny)
        done = tts("speak", "Hi.", "--model-dir", str(tiny), "-o", "x.wav", "--json")
        assert json.loads(done.stdout)["auto"]["strategy"] == "overlap"
        assert "auto: cpu, fp32, 1 thread, overlap (measured)" in done.stderr.decode()
        done = tts("bench", "--model-dir", str(tiny), "--runs", "1", "--warmup", "0", "--tokens", "10", "--json")
        bench = json.loads(done.stdout)
        assert (bench["rows"][0]["strategy"], bench["auto"]["measured"]) == ("overlap", True)

    def test_a_table_and_the_choice_with_its_reason(
        self, tiny: Path, environment: dict[str, str], tmp_path: Path, cache: Path
    ) -> None:
        environment["COLUMNS"] = "100"
        with terminal("tune", "--model-dir", str(tiny), environment=environment, folder=tmp_path) as shown:
            shown.wait_for("loading torch")
            assert shown.end() == 0
        after = shown.screen.rpartition("Precision")[2]
        assert re.search(r"cpu +fp32 +context +\d+", after)
        assert "not timed: int4" in after
        assert re.search(r"auto: cpu, \w+, \w+, \d+ threads \(RTF [\d.]+\): the most faithful", after)
        (file,) = cache.glob("tuning-*.json")
        assert file.name in after.replace("\r\n", "")

    def test_ctrl_c_leaves_nothing(self, tiny: Path, environment: dict[str, str], tmp_path: Path, cache: Path) -> None:
        with terminal("tune", "--model-dir", str(tiny), environment=environment, folder=tmp_path) as shown:
            shown.wait_for("loading torch")
            shown.type(b"\x03")
            assert shown.end() == 130
        assert "Traceback" not in shown.screen
        assert "auto:" not in shown.screen
        assert not list(cache.glob("*tun*")) + list(cache.glob(".*"))

    def test_a_cache_that_cannot_be_written_is_one_line_after_the_result(
        self, tts: Run, tiny: Path, cache: Path
    ) -> None:
        cache.write_text("a file")
        done = tts("tune", "--model-dir", str(tiny), "--json")
        assert done.returncode == 1
        assert "cannot keep the measurements in" in complaint(done)
        assert json.loads(done.stdout)["choice"]

    def test_without_weights_it_says_how_to_get_them(self, tts: Run) -> None:
        done = tts("tune")
        assert done.returncode == 3
        assert "tts model pull turbo" in complaint(done)


class TestOnce:
    def test_this_machine_is_timed_once(self, tiny: Path, cache: Path) -> None:
        console = Console(record=True)
        tune_once(tiny, console)
        assert "timed this machine: cpu, " in console.export_text()
        (file,) = cache.glob("tuning-*.json")
        before = file.stat().st_mtime_ns
        tune_once(tiny, console)
        assert console.export_text() == ""
        assert file.stat().st_mtime_ns == before

    def test_a_failure_is_told_in_one_line(self, tiny: Path, cache: Path) -> None:
        cache.write_text("a file")
        console = Console(record=True, width=300)
        tune_once(tiny, console)
        (line,) = console.export_text().splitlines()
        assert line.startswith("tts: this machine could not be timed (")


class TestOffer:
    def test_after_a_slow_run_one_line_offers_it(self, tts: Run) -> None:
        done = tts("speak", "It rains.", "--engine", f"{SAMPLES}SlowChoosingEngine", "-o", "x.wav")
        summary, offer = done.stderr.decode().splitlines()
        assert "auto: cpu, far, 2 threads (not measured)" in summary
        assert offer == "tts: sound is computed more slowly than it is heard; measure with: tts tune"

    @pytest.mark.parametrize(
        ("engine", "options"), [("ChoosingEngine", ()), ("SlowEngine", ()), ("SlowChoosingEngine", ("-q",))]
    )
    def test_no_line_otherwise(self, tts: Run, engine: str, options: tuple[str, ...]) -> None:
        text = "It rains. " * (
            50 if engine == "ChoosingEngine" else 1
        )  # no wait of a busy machine is as long as the sound
        done = tts("speak", text, "--engine", f"{SAMPLES}{engine}", "-o", "x.wav", *options)
        assert b"tune" not in done.stderr
