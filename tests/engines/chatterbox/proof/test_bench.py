"""`tts bench` on Chatterbox: a row for each strategy, against the sound computed whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import PATIENCE, ROOT, Run
from tts_cli.engines.chatterbox import ENGINE
from tts_cli.engines.chatterbox.options import STRATEGIES, ChatterboxOptions, ChatterboxSettings
from tts_cli.errors import UsageError
from tts_cli.measure.bench import bench
from tts_cli.session import Session

OPTIONS = ChatterboxOptions(tokens=24)


def test_a_row_for_each_strategy(tts: Run, tiny: Path, tmp_path: Path) -> None:
    result = tts(
        *("bench", "--model-dir", str(tiny), "--voices-dir", str(tmp_path / "voices"), "--no-watermark"),
        *("--strategy", "all", "--tokens", "24", "--runs", "2", "--warmup", "1", "--json", "--plot", "timeline.png"),
    )
    assert (result.returncode, result.stderr) == (0, b"")
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["engine"], told["voice"], told["options"]["tokens"]) == ("chatterbox", "default", 24)
    assert [row["strategy"] for row in told["rows"]] == list(STRATEGIES)
    for row in told["rows"]:
        assert row["audio_ms"] == 24 * 40
        assert 0 < row["ttfa_ms"]["min"] <= row["ttfa_ms"]["median"] <= row["ttfa_ms"]["max"]
        assert row["ttfa_ms"]["median"] < row["total_ms"]["median"]
        assert row["distance_db"] > 0
        assert len(row["chunk_distances_db"]) == row["chunks"] >= 3
        assert row["seam"]["spectral"] > 0
    assert (tmp_path / "timeline.png").stat().st_size > 1000


def test_modes_and_wrong_wishes(tiny: Path, tmp_path: Path) -> None:
    settings = ChatterboxSettings(voices_dir=tmp_path, model_dir=tiny, device="cpu", watermark=False)
    session = Session(ENGINE, settings)
    (row,) = bench(session, OPTIONS, "Hi.", runs=1, warmup=0)
    assert row.way == "cached"
    simple = ChatterboxOptions(tokens=24, mode="simple")
    (row,) = bench(session, simple, "Hi.", runs=1, warmup=0)
    assert (row.way, row.seam, row.distance) == ("simple", None, None)
    assert row.runs[0].sound == pytest.approx(24 * 0.04)
    for options, strategy, text, says in (
        (simple, "all", "Hi.", "mode simple"),
        (OPTIONS, "best", "Hi.", "independent"),
        (OPTIONS, None, "Hi. " * 100, "several pieces"),
    ):
        with pytest.raises(UsageError, match=says):
            bench(session, options, text, strategy, runs=1, warmup=0)


def test_one_chunk_is_the_whole(tiny: Path, tmp_path: Path) -> None:
    """But for `cached`, whose voice does not hear what is said after it."""
    settings = ChatterboxSettings(voices_dir=tmp_path, model_dir=tiny, device="cpu", watermark=False, precision="fp32")
    session = Session(ENGINE, settings)
    options = ChatterboxOptions(tokens=8, chunk=30)
    for strategy in set(STRATEGIES) - {"cached"}:
        (row,) = bench(session, options, "Hi.", strategy, runs=1, warmup=0)
        assert row.distance == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_the_script_of_whole_processes(tiny: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "scripts/benchmark.py", "--model-dir", str(tiny), "--runs", "1", "--long", "100"]
    done = subprocess.run(
        [*command, "--no-watermark", "--precision", "fp32"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    machine, _, *table = done.stdout.splitlines()
    assert machine.startswith("Machine: ")
    cells = dict(line.strip("| ").split(" | ")[:2] for line in table[2:])
    start = float(cells["process start to first audio, cached voice, seconds"])
    assert start > float(cells["of it, from the text on (TTFA), seconds"]) > 0
    if sys.platform == "linux":
        parts = (float(cells[f"of it {kind}, MB"]) for kind in ("anonymous", "mapped files"))
        assert all(50 < part < float(cells["peak memory, MB"]) for part in parts)
    assert float(cells["4 s by `cached`, chunks of 10: last five over second to sixth, cpu"]) > 0
    assert abs(float(cells["4 s by `cached`, chunks of 10: memory from the second chunk to the last, MB"])) < 200
