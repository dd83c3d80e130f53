"""The scripts that look for faults: what they find, what they let pass, and a run of some seconds of each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import fuzz
import numpy as np
import pytest
import soak
from fuzzing.bench import Bench, Plan
from fuzzing.checks import FaultError, check_samples, judge, nothing_left
from fuzzing.report import growth
from fuzzing.requests import _arguments, plan_api
from fuzzing.worker import attempt, plan_of

from tests.harness import ROOT, clean_environment
from tts_cli.audio import AudioChunk
from tts_cli.engines import Segments, SpeakOptions
from tts_cli.engines.in_order import in_order
from tts_cli.segment import Segment

SHORT = "188"
"""A seed with which `soak.py` first writes one short passage and then pauses."""


class Engine:
    """Speaks what it is told to, whatever the text."""

    name = "builtin"
    sample_rate = 24_000

    def __init__(self, sample: float, raised: Exception | None = None) -> None:
        self.sample, self.raised = sample, raised

    def voices(self) -> list[str]:
        return ["heart"]

    def stream(self, segments: Segments, _voice: str, _options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        return in_order(segments, self.speak)

    def speak(self, segment: Segment) -> Iterator[AudioChunk]:
        yield AudioChunk(np.full(960, self.sample, np.float32), self.sample_rate, segment)
        if self.raised is not None:
            raise self.raised

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return Bench("builtin", tmp_path / "case", None)


def attempted(bench: Bench, engine: Engine, kind: str, text: Any) -> tuple[bool, str]:
    vars(bench.session)["engine"] = engine
    done, signature, _ = attempt(Plan(kind, text, {"options": {}, "take": None, "ending": "text", "number": 0}), bench)
    return done is not None, signature


def test_no_case_writes_outside_of_its_folder(bench: Bench) -> None:
    for number in range(1500):
        outputs = [plan_api(Random(number), bench).values.get("output")]
        arguments = _arguments(Random(number), "/outside.wav")
        outputs += [value for option, value in pairwise(arguments) if option in ("-o", "--output", "--voices-dir")]
        for output in outputs:
            assert output in (None, "/dev/null") or not {"/", ".."} & {*Path(output).parts}, number


@pytest.mark.parametrize(("kind", "text"), [("text", "Hello."), ("segment", "Hello."), ("live", [b"Hel", b"lo."])])
def test_a_sound_engine_has_no_fault(bench: Bench, kind: str, text: Any) -> None:
    assert attempted(bench, Engine(1.5), kind, text) == (True, "")


@pytest.mark.parametrize(("kind", "text"), [("text", "Hello."), ("segment", "Hello."), ("live", [b"Hel", b"lo."])])
def test_what_an_engine_should_not_raise_is_found(bench: Bench, kind: str, text: Any) -> None:
    good, signature = attempted(bench, Engine(0.5, ZeroDivisionError("half-way")), kind, text)
    assert not good
    assert signature.startswith(f"ZeroDivisionError at {Path(__file__).name}:")


@pytest.mark.parametrize("sample", [1.6, -1.6, float("nan"), float("inf")])
def test_samples_that_are_no_sound_are_found(bench: Bench, sample: float) -> None:
    good, signature = attempted(bench, Engine(sample), "text", "Hello.")
    assert not good
    assert signature.startswith(("FaultError at checks.py:", "ModelError at audio.py:"))


def test_samples_of_another_kind_are_found() -> None:
    for samples in (np.zeros(3), np.zeros((3, 1), np.float32)):
        with pytest.raises(FaultError, match="samples are"):
            check_samples(samples)


def test_what_is_left_behind_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzzing.checks.PATIENCE", 0.01)
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="stray")
    with pytest.raises(FaultError, match="stray"), nothing_left():
        thread.start()
    end.set()
    thread.join()
    with pytest.raises(FaultError, match=f"open files: .*{Path(__file__).stem}"), nothing_left():
        kept = Path(__file__).open()  # noqa: SIM115
    kept.close()
    with pytest.raises(FaultError, match=r"temporary files: 'x'"), nothing_left():
        Path(tempfile.gettempdir(), "x").touch()


@pytest.mark.parametrize(
    ("code", "stderr"),
    [
        (-11, b""),
        (130, b""),
        (1, b"Traceback (most recent call last):"),
        (1, b"tts: cannot speak '\xc2\xb9': IndexError: list index out of range"),
    ],
)
def test_how_no_command_may_end_is_found(code: int, stderr: bytes) -> None:
    with pytest.raises(FaultError):
        judge(code, b"", stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_case_hangs_if_it_stands_still_and_not_if_other_work_has_the_processor() -> None:
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as still:
        assert still.stdout is not None
        assert fuzz._line(still.stdout, 0.2, still.pid) is None
        assert still.poll() is None, "not only when it has ended"
        still.kill()
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"], stdout=subprocess.PIPE) for _ in range(4)]
    for process in busy:
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    began = time.monotonic()
    assert busy[0].stdout is not None
    assert fuzz._line(busy[0].stdout, 0.2, busy[0].pid) is None
    assert time.monotonic() - began > 0.4  # each has a quarter of the processor
    for process in busy:
        process.kill()
        process.communicate()


def test_growth_is_told_from_a_start_and_from_noise() -> None:
    assert growth([100, 200] * 5) == 0  # too few
    assert growth([*range(100, 200, 5), *[200, 203] * 40]) == 0
    assert growth([*range(100, 300)]) > 90


@pytest.mark.parametrize("engine", ["builtin", "chatterbox"])
def test_a_case_is_its_seed_and_its_number(tmp_path: Path, engine: str) -> None:
    bench = Bench(engine, tmp_path, tmp_path)
    cases = [plan_of(bench, 7, number) for number in range(200)]
    assert cases == [plan_of(bench, 7, number) for number in range(200)]
    assert cases != [plan_of(bench, 8, number) for number in range(200)]
    assert len({case.kind for case in cases}) == (7 if engine == "builtin" else 9)


def run(script: str, *arguments: str, folder: Path, code: int | None = 0) -> dict[str, Any]:
    """The counts of a run that ends with `code`; None: with any."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *arguments, "--json"],
        cwd=folder,
        env=clean_environment() | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    found = [file.read_text() for file in folder.glob("fuzz-findings/*")]
    assert code in (None, done.returncode), "\n\n".join((done.stdout, done.stderr, *found))
    counts: dict[str, Any] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("engine", ["builtin", pytest.param("chatterbox", marks=pytest.mark.slow)])
def test_random_input_finds_nothing(tmp_path: Path, engine: str) -> None:
    counts = run("fuzz.py", "--minutes", "0.05", "--seed", "1", "--engine", engine, folder=tmp_path)
    assert counts["cases"] >= 1
    assert counts["faults"] == {}


def test_a_run_without_a_case_proves_nothing_and_fails(tmp_path: Path) -> None:
    assert run("fuzz.py", "--minutes", "0", folder=tmp_path, code=1)["cases"] == 0


@pytest.mark.speaker
@pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="needs pulseaudio and libasound2-plugins")
def test_all_that_is_written_into_a_pipe_is_played(tmp_path: Path) -> None:
    """On a busy machine, a device can stop asking for sound until it counts as lost: the best attempt counts."""
    for _ in range(4):
        counts = run("soak.py", "--minutes", "0.01", "--seed", SHORT, folder=tmp_path, code=None)
        assert counts["sentences"] >= 1
        if not any("has stopped playing" in fault for fault in counts["faults"]):
            break
    assert counts["faults"] == []
    assert counts["delivered_ms"] > 500


LONGEST_WAIT = """
import time
from tts_cli.playback.opening import open_speaker

sink = open_speaker(None, 24_000)
waits, asked, since = [0.0], 0, time.monotonic()
until = since + 0.8
while time.monotonic() < until:
    time.sleep(0.01)
    waits.append(time.monotonic() - since)
    if sink._output.asked != asked:
        asked, since = sink._output.asked, time.monotonic()
print(max(waits))
"""


@pytest.mark.speaker
@pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="needs pulseaudio and libasound2-plugins")
def test_the_speaker_of_a_long_run_asks_for_sound_evenly_from_the_first_moment(tmp_path: Path) -> None:
    def longest_wait(folder: Path) -> float:
        with soak.loudspeaker(folder) as speaker:
            environment = clean_environment() | speaker.environment
            environment.pop("PULSE_SERVER", None)
            return float(subprocess.check_output([sys.executable, "-c", LONGEST_WAIT], env=environment))

    assert any(longest_wait(tmp_path / attempt) < 0.4 for attempt in "123"), "one attempt unless the machine stalls"


SOAKED = {"exit_code": 0, "audio_ms": 9000.0, "delivered_ms": 9000.0, "device_opened": 1, "device_underflows": 0} | {
    f"{resource}_growth": 0.0 for resource in ("memory", "threads", "files")
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, None),
        ({"exit_code": 1}, "the process ended with 1: Traceback"),
        ({"delivered_ms": 8000.0}, "8000.0 ms were played of 9000.0 ms"),
        ({"audio_ms": 0.0, "delivered_ms": 0.0}, "nothing was played"),
        ({"device_opened": 2}, "the device was opened 2 times"),
        ({"device_opened": 2, "device_underflows": 1}, None),
        ({"memory_growth": 70.0}, "memory grew by 70.0, more than 64"),
        ({"threads_growth": 2.0}, "threads grew by 2.0, more than 1"),
        ({"files_growth": 2.0}, "files grew by 2.0, more than 1"),
    ],
)
def test_what_a_long_run_may_not_do_is_a_fault(change: dict[str, float], says: str | None) -> None:
    assert soak.faults(SOAKED | change, "Traceback") == ([] if says is None else [says])
