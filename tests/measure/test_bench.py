"""What `tts bench` measures, with a clock that we turn; the picture it draws; the command as users meet it."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.harness import ROOT, Run
from tests.sample_engines import ToneEngine
from tts_cli.audio import TOKEN_RATE, AudioChunk, Samples, as_samples
from tts_cli.cli.bench import _gains, _table
from tts_cli.engines import EngineSettings, SpeakOptions, registry
from tts_cli.engines.builtin import SAMPLE_RATE
from tts_cli.errors import UsageError
from tts_cli.measure.bench import Gain, Row, bench, report
from tts_cli.metrics import Snapshot
from tts_cli.segment import Segment
from tts_cli.session import Session

CHUNK = 10 * SAMPLE_RATE // TOKEN_RATE
BUILTIN = ("bench", "--engine", "builtin", "--text", "Hello there, world.")


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class PacedEngine(ToneEngine):
    """Three chunks of noise; run number n takes `pace[n]` seconds for each. `shape` has the last word on the sound."""

    def __init__(self, clock: Clock, pace: list[float], shape: Callable[[Samples, SpeakOptions], Samples]) -> None:
        super().__init__(EngineSettings())
        self.clock = clock
        self.pace = pace
        self.shape = shape

    def speak(self, segment: Segment, options: SpeakOptions) -> Iterator[AudioChunk]:
        noise = as_samples(0.1 * np.random.default_rng(options.seed).standard_normal(3 * CHUNK))
        seconds = self.pace.pop(0)
        for start in range(0, 3 * CHUNK, CHUNK):
            self.clock.now += seconds
            yield AudioChunk(self.shape(noise, options)[start : start + CHUNK], self.sample_rate, segment)


def session(engine: PacedEngine) -> Session:
    """A session with this very engine."""
    opened = Session(registry.find("tests.sample_engines:ToneEngine"), EngineSettings())
    opened.engine = engine
    return opened


def as_it_is(noise: Samples, options: SpeakOptions) -> Samples:
    return noise


def measured(
    pace: list[float], shape: Callable[[Samples, SpeakOptions], Samples] = as_it_is, **settings: object
) -> list[Row]:
    clock = Clock()
    options = SpeakOptions(mode=settings.pop("mode", "streaming"))  # type: ignore[arg-type]
    return bench(session(PacedEngine(clock, pace, shape)), options, "Hi.", clock=clock, **settings)  # type: ignore[arg-type]


def test_medians_and_ends_of_the_runs_that_count() -> None:
    doing: list[str] = []
    (row,) = measured([9.0, 0.4, 0.1, 0.2, 7.0], runs=3, warmup=1, progress=doing.append)
    (told,) = report([row])
    assert told["strategy"] == "streaming"
    assert told["ttfa_ms"] == {"median": 200.0, "min": 100.0, "max": 400.0}
    assert told["total_ms"] == {"median": 600.0, "min": 300.0, "max": 1200.0}
    assert told["audio_ms"] == 1200.0
    assert told["rtf"] == {"median": 0.5, "min": 0.25, "max": 1.0}
    assert told["chunks"] == 3
    assert [arrival.at for arrival in row.arrivals] == pytest.approx([0.2, 0.4, 0.6])
    assert len(doing) == 5
    assert "warming" in doing[0]


def test_simple_mode_hears_nothing_before_all_is_computed() -> None:
    (row,) = measured([0.2], mode="simple", runs=1, warmup=0)
    (told,) = report([row])
    assert told["strategy"] == "simple"
    assert told["ttfa_ms"]["median"] == told["total_ms"]["median"] == 600.0
    assert told["distance_db"] is None


def test_a_sound_that_is_the_whole_one_has_no_distance_and_no_seams() -> None:
    (row,) = measured([0.1] * 2, runs=1, warmup=0)
    assert row.distance == 0
    assert row.seam is not None
    assert row.seam.spectral == pytest.approx(1, abs=0.35)
    assert row.seam.sample == pytest.approx(1, abs=0.8)


def test_a_click_at_each_join_shows() -> None:
    def clicking(noise: Samples, options: SpeakOptions) -> Samples:
        sound = noise.copy()
        sound[CHUNK::CHUNK] += 2
        return sound

    (row,) = measured([0.1] * 2, clicking, runs=1, warmup=0)
    assert row.seam is not None
    assert row.seam.sample > 5


def test_the_distance_is_that_of_levels() -> None:
    def halved(noise: Samples, options: SpeakOptions) -> Samples:
        return noise / 2 if options.mode == "streaming" else noise

    (row,) = measured([0.1] * 2, halved, runs=1, warmup=0)
    assert row.distance == pytest.approx(20 * np.log10(2), abs=0.01)
    assert row.distances == pytest.approx([20 * np.log10(2)] * 3, abs=0.01)


def test_sounds_of_other_lengths_are_not_compared() -> None:
    def shorter(noise: Samples, options: SpeakOptions) -> Samples:
        return noise[:-100] if options.mode == "simple" else noise

    (row,) = measured([0.1] * 2, shorter, runs=1, warmup=0)
    assert (row.distance, row.distances) == (None, None)


def test_silence_is_never_heard() -> None:
    (row,) = measured([0.1] * 2, lambda noise, _options: noise * 0, runs=1, warmup=0)
    (told,) = report([row])
    assert told["ttfa_ms"] is None
    assert told["total_ms"]["median"] == 300.0


def test_a_baseline_takes_turns_and_the_gain_is_that_of_medians() -> None:
    clock, doing = Clock(), list[str]()
    ours, theirs = (PacedEngine(clock, pace, as_it_is) for pace in ([0.1, 0.2, 0.3, 9.0], [1.0, 2.0, 1.5]))
    row, other = bench(
        session(ours),
        SpeakOptions(),
        "Hi.",
        runs=3,
        warmup=0,
        progress=doing.append,
        clock=clock,
        baselines={"theirs": theirs},
    )
    assert [words.partition(":")[0] for words in doing[:-1]] == ["streaming", "theirs"] * 3
    assert (row.baseline, other.baseline, other.way, other.against) == (False, True, "theirs", {})
    assert row.against["theirs"].ttfa == pytest.approx(7.5)
    assert row.against["theirs"].rtf == pytest.approx(7.5)
    assert report([row])[0]["against"] == {"theirs": {"ttfa": 7.5, "rtf": 7.5}}
    assert list(_gains([row, other])) == ["streaming against theirs: first audio 7.5 × sooner, RTF 7.5 × less"]


def test_a_gain_can_be_a_loss_or_unknown() -> None:
    slow, fast = Snapshot(ttfa=2.0, computed=2.0, sound=1.0), Snapshot(ttfa=1.0, computed=1.0, sound=1.0)
    assert Gain.of([slow], [fast]) == Gain(0.5, 0.5)
    assert Gain.of([replace(slow, ttfa=None)], [fast]).ttfa is None
    (row,) = measured([0.1] * 2, runs=1, warmup=0)
    worse = replace(row, against={"fast": Gain(0.5, 0.25), "mute": Gain(None, 1.0)})
    assert list(_gains([worse])) == [
        "streaming against fast: first audio 2.0 × later, RTF 4.0 × more",
        "streaming against mute: never heard, RTF 1.0 × less",
    ]


def test_a_text_that_no_one_speaks_whole_is_not_compared() -> None:
    engine = PacedEngine(Clock(), [], as_it_is)
    with pytest.raises(UsageError, match="shorten the text"):
        bench(session(engine), SpeakOptions(), "Hi. " * 100, baselines={"same": engine})


def test_what_an_engine_has_not_got() -> None:
    with pytest.raises(UsageError, match="no strategies"):
        measured([], strategy="all")


def test_the_table_says_median_and_ends() -> None:
    from rich.console import Console

    rows = measured([0.4, 0.1, 0.2, 0.2], runs=3, warmup=0)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(_table(rows, "title"))
    text = console.export_text()
    for words in ("First audio", "Total", "Audio duration", "RTF", "200 ms", "100–400", "600 ms", "300–1200", "1.20 s"):
        assert words in text
    assert re.search(r"0\.50 .*0\.00 dB", text)
    assert "…" not in text


class TestCommand:
    def test_table_on_standard_output(self, tts: Run, tmp_path: Path) -> None:
        result = tts(*BUILTIN, "--runs", "2", "--plot", "timeline.png")
        assert (result.returncode, result.stderr) == (0, b"")
        text = result.stdout.decode()
        assert "builtin · heart · streaming · --chunk auto · 2 runs" in text
        assert "First audio" in text
        assert "0.00 dB" in text
        assert [file.name for file in tmp_path.iterdir()] == ["timeline.png"]

    @pytest.mark.parametrize("mode", ["streaming", "simple"])
    def test_json_ends_standard_output(self, tts: Run, mode: str) -> None:
        result = tts(*BUILTIN, "--mode", mode, "--runs", "1", "--warmup", "0", "--json", "--chunk", "5")
        assert (result.returncode, result.stderr) == (0, b"")
        told = json.loads(result.stdout.splitlines()[-1])
        (row,) = told["rows"]
        assert (told["mode"], told["chunk"], told["runs"]) == (mode, 5, 1)
        assert 0 < row["ttfa_ms"]["median"] <= row["total_ms"]["median"]
        assert row["rtf"]["median"] == pytest.approx(row["compute_ms"]["median"] / row["audio_ms"], rel=0.01)
        assert told["baselines"] == []
        assert documented_fields() == [*told, *row]

    def test_speech_that_was_cut_short_is_told(self, tts: Run) -> None:
        options = ("--engine", "tests.sample_engines:CurtEngine", "--runs", "2", "--text", "It is long.", "--json")
        result = tts("bench", *options)
        assert result.returncode == 0
        assert result.stderr.decode() == "tts: streaming: 'It is long.': that was\\x1b[31m too much\n"
        (row,) = json.loads(result.stdout.splitlines()[-1])["rows"]
        assert row["notices"] == ["'It is long.': that was\x1b[31m\ntoo much"]

    def test_an_engine_that_is_not_where_it_was_asked_to_be_says_so(self, tts: Run) -> None:
        options = ("--engine", "tests.sample_engines:MovedEngine", "--runs", "1", "--warmup", "0", "--text", "Hello.")
        result = tts("bench", *options)
        assert result.returncode == 0
        assert result.stderr.decode() == "tts: this Mac's GPU cannot compute; speaking on the CPU\n"

    @pytest.mark.parametrize(
        ("options", "code", "says"),
        [
            (["--strategy", "all"], 2, "no strategies"),
            (["--tokens", "5"], 2, "choose --engine chatterbox"),
            (["--runs", "0"], 2, "--runs"),
            (["--strategy", "best"], 2, "no strategies"),
            (["--plot", "x.jpg"], 2, ".png"),
            (["--plot", "no/x.png"], 2, "mkdir -p no"),
            (["--text", "..."], 2, "nothing to speak"),
            (["--text", ""], 2, "nothing to speak"),
            (["--voice", "bob"], 2, "bob"),
            (["--compare", "upstream"], 2, "nothing to compare"),
        ],
    )
    def test_errors(self, tts: Run, tmp_path: Path, options: list[str], code: int, says: str) -> None:
        result: subprocess.CompletedProcess[bytes] = tts(*BUILTIN, *options)
        assert result.returncode == code
        (line,) = result.stderr.decode().splitlines()
        assert line.startswith("tts: ")
        assert says in line
        assert (result.stdout, list(tmp_path.iterdir())) == (b"", [])


def documented_fields() -> list[str]:
    """The names in the tables of the page's part on `--json`, in order."""
    page = (ROOT / "docs/lab/experiments.md").read_text(encoding="utf-8").partition("## The JSON object\n")[2]
    page = page.partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
