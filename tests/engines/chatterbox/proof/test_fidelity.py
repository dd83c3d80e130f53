"""`tts bench --fidelity`: what is measured, what it is worth, and the command as users meet it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.harness import ROOT, Run, complaint
from tts_cli.audio import Samples, as_samples
from tts_cli.engines.chatterbox import SAMPLE_RATE
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.proof.fidelity import compare_logits, compare_sounds, computable, measure
from tts_cli.engines.chatterbox.proof.verdict import (
    FAIR,
    Fidelity,
    Grade,
    SoundFidelity,
    TokenFidelity,
    report,
    summary,
)
from tts_cli.engines.chatterbox.weights.config import SAMPLES_PER_TOKEN, read_config

CPU = torch.device("cpu")
NOISE_AWAY = 5.0
"""dB from the reference to the same with other noise."""


def noise(seconds: float = 10.0, seed: int = 0) -> Samples:
    return as_samples(0.1 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE)))


class TestDrawing:
    def test_the_same_logits(self) -> None:
        logits = torch.randn(50, 100, generator=torch.Generator().manual_seed(1))
        found = compare_logits("x", logits + 3, logits)
        assert (found.precision, found.agreement) == ("x", 1)
        assert (found.kl, found.kl_tail) == pytest.approx((0, 0), abs=1e-9)

    def test_two_tokens(self) -> None:
        """Of ten positions, one has 3 : 1 turned round: KL = 0.5 ln 3."""
        reference = torch.tensor([[3.0, 1.0]]).log().repeat(10, 1)
        found = reference.clone()
        found[0] = found[0].flip(0)
        row = compare_logits("x", found, reference)
        assert row.kl == pytest.approx(0.05 * math.log(3), rel=1e-6)
        assert row.kl_tail == pytest.approx(0.5 * math.log(3) * 0.55, rel=1e-6)
        assert row.agreement == pytest.approx(0.9)

    @pytest.mark.parametrize(
        ("kl", "tail", "grade"),
        [
            (0.001, 0.004, Grade.SAME),
            (0.001, 0.1, Grade.CLOSE),
            (0.04, 0.1, Grade.CLOSE),
            (0.04, 0.3, Grade.DIFFERENT),
            (0.5, 1.0, Grade.DIFFERENT),
            (math.nan, math.nan, Grade.DIFFERENT),
        ],
    )
    def test_grades(self, kl: float, tail: float, grade: Grade) -> None:
        assert TokenFidelity("x", kl, tail, 1.0).grade is grade

    def test_words(self) -> None:
        assert TokenFidelity("x", 0.0008, 0.002, 1.0).words == (
            "as good as fp32 for the ear: another token at most 2.0% of the time"
        )
        assert TokenFidelity("x", 3.0, 9.0, 0.0).words == "differs audibly"


class TestSounds:
    def test_the_same_sound(self) -> None:
        row = compare_sounds("fp32", "whole", noise(), noise())
        assert (row.distance, row.loudness_drift, row.timbre_drift) == pytest.approx((0, 0, 0), abs=1e-6)
        assert row.snr > 100
        assert row.grade(NOISE_AWAY) is Grade.SAME

    def test_a_tenth_of_noise(self) -> None:
        row = compare_sounds("fp32", "x", noise() + 0.1 * noise(seed=1), noise())
        assert row.snr == pytest.approx(20, abs=0.1)
        assert abs(row.loudness_drift) < 0.1

    def test_a_speaker_who_walks_closer(self) -> None:
        """2 dB in 10 s, and no other voice."""
        sound = noise(8)
        gain = as_samples(10 ** (2 * np.arange(len(sound)) / (10 * SAMPLE_RATE) / 20))
        row = compare_sounds("fp32", "x", sound * gain, sound)
        assert row.loudness_drift == pytest.approx(2, abs=0.02)
        assert row.timbre_drift < 0.05

    def test_silence_says_nothing_about_loudness(self) -> None:
        sound = noise(8)
        sound[: len(sound) // 2] *= 1e-4
        other = sound.copy()
        other[: len(sound) // 2] *= 10
        assert abs(compare_sounds("fp32", "x", other, sound).loudness_drift) < 1e-6

    def test_a_voice_that_grows_dull(self) -> None:
        sound = noise(8)
        dull = sound.copy()
        half = len(sound) // 2
        dull[half:] = np.convolve(sound[half:], np.ones(4) / 4, "same")
        row = compare_sounds("fp32", "x", dull, sound)
        assert row.timbre_drift > 2
        assert "timbre drifts" in row.words(NOISE_AWAY)

    @pytest.mark.parametrize(
        ("distance", "loudness", "timbre", "grade"),
        [
            (0.5, 0.5, 0.5, Grade.SAME),
            (0.5, -1.5, 0.5, Grade.CLOSE),
            (1.5, 0.5, 1.5, Grade.CLOSE),
            (4.0, 0.5, 0.5, Grade.ANOTHER),
            (6.0, 0.5, 0.5, Grade.DIFFERENT),
            (4.0, -3.5, 0.5, Grade.DIFFERENT),
            (0.5, 0.5, 2.5, Grade.DIFFERENT),
        ],
    )
    def test_grades(self, distance: float, loudness: float, timbre: float, grade: Grade) -> None:
        assert SoundFidelity("fp32", "x", distance, 0.0, loudness, timbre).grade(NOISE_AWAY) is grade


class TestSummary:
    near = SoundFidelity("bf16", "cached", 0.4, 20.0, 0.0, 0.1)
    found = Fidelity(
        entropy=3.0,
        other_noise=NOISE_AWAY,
        tokens=(TokenFidelity("bf16", 0.0001, 0.001, 1.0), TokenFidelity("int4", 0.03, 0.1, 0.8)),
        sounds=(near, replace(near, precision="fp32"), replace(near, strategy="independent", distance=9.0)),
        decoders={"fp32": "fp32", "bf16": "bf16", "int4": "bf16"},
    )

    def test_what_sounds_worst_counts(self) -> None:
        assert summary(self.found) == [
            "As good as fp32 for the ear: cached in bf16, fp32.",
            "Close to fp32: cached in int4.",
            "Differs audibly: independent in bf16, int4.",
        ]

    def test_weights_that_know_nothing_are_told_first(self) -> None:
        for entropy in (FAIR, 0.9 * FAIR, math.nan):
            random = replace(self.found, entropy=entropy)
            assert random.random
            assert "random" in summary(random)[0]
            assert "proves" in summary(random)[0]
            assert summary(random)[1:] == summary(self.found)
        assert not self.found.random


def test_every_precision_there_is_on_random_weights(tiny: Path) -> None:
    doing: list[str] = []
    strategies = ["independent", "context"]
    found = measure(tiny, tiny / "conds.pt", device="cpu", strategies=strategies, positions=24, progress=doing.append)
    precisions = computable(CPU)
    assert precisions[:2] == ["fp32", "bf16"]
    assert [row.precision for row in found.tokens] == precisions[1:]
    assert found.decoders == {name: choose(name, CPU).s3gen for name in precisions}
    ways = [(row.precision, row.strategy) for row in found.sounds]
    assert ways == [
        *(("fp32", name) for name in strategies),
        *(("bf16", name) for name in ["whole", *strategies]),
    ]
    assert found.random
    assert found.other_noise > 1
    kl = {row.precision: row.kl for row in found.tokens}
    assert 0 < kl["bf16"] < 1e-3
    if "int4" in kl:
        assert kl["bf16"] < kl["int8"] < kl["int4"] < 0.1
    sounds = {(row.precision, row.strategy): row for row in found.sounds}
    assert sounds["bf16", "whole"].snr > sounds["fp32", "independent"].snr
    assert doing[0] == "T3 in fp32"
    layers = read_config(tiny).t3.n_layer
    names = [
        (layer, name) for layer in range(layers) for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    ]
    for precision in precisions[1:]:
        rows = [row for row in found.maps if row.precision == precision]
        assert [(row.layer, row.map) for row in rows] == [*names, (None, "speech_head")]
        assert all(0 < row.error < {"bf16": 0.01, "int8": 0.05, "int4": 0.2}[precision] for row in rows)


def test_fewer_flow_steps_and_a_shorter_reference_are_compared_with_the_default(tiny: Path) -> None:
    def sounds(**how: Any) -> dict[tuple[str, str], SoundFidelity]:
        found = measure(tiny, tiny / "conds.pt", device="cpu", strategies=["context"], positions=12, **how)
        return {(row.precision, row.strategy): row for row in found.sounds}

    usual, one_step, shorter = sounds(), sounds(flow_steps=1), sounds(prompt_seconds=0.2)
    assert ("fp32", "whole") not in usual
    for other in (one_step, shorter):
        assert other["fp32", "whole"].distance > 0.1
        assert other["fp32", "context"].snr < usual["fp32", "context"].snr


def test_one_chunk_of_fp32_is_the_reference(tiny: Path) -> None:
    found = measure(
        tiny, tiny / "conds.pt", "Hi.", device="cpu", strategies=["independent"], positions=8, chunk=8, seed=3
    )
    row = found.sounds[0]
    assert (row.precision, row.strategy) == ("fp32", "independent")
    assert row.distance == pytest.approx(0, abs=1e-3)
    assert row.snr > 60


class TestCommand:
    def test_tables_and_the_verdict_in_words(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        options = ("--fidelity", "--tokens", "12", "--strategy", "context", "--voices-dir", str(tmp_path))
        result = tts("bench", "--model-dir", str(tiny), *options)
        assert (result.returncode, result.stderr) == (0, b"")
        words = " ".join(result.stdout.decode().split())
        assert "turbo · default · T3, next token · 12 positions" in words
        for expected in (
            "KL",
            "Same choice",
            "mlp.c_proj",
            "Median of all",
            "Distance",
            "SNR",
            "bf16 whole",
            "fp32 context",
            "look random",
        ):
            assert expected in words
        assert "overlap" not in words

    def test_sounds_to_compare_have_names_that_do_not_tell_what_they_are(
        self, tts: Run, tiny: Path, tmp_path: Path
    ) -> None:
        options = ("--fidelity", "--tokens", "12", "--strategy", "context", "--voices-dir", str(tmp_path / "voices"))
        result = tts("bench", "--model-dir", str(tiny), *options, "--listen", str(tmp_path / "sounds"))
        assert (result.returncode, result.stderr) == (0, b"")
        key = dict(line.split("  ") for line in (tmp_path / "sounds/key.txt").read_text().splitlines())
        ways = ["bf16, context", "bf16, whole", "fp32, context", "reference with other noise", "reference: fp32, whole"]
        assert sorted(key.values()) == ways
        assert sorted(path.name for path in (tmp_path / "sounds").iterdir()) == [*sorted(key), "key.txt"]
        for name in key:
            assert len(soundfile.read(tmp_path / "sounds" / name)[0]) == 12 * SAMPLES_PER_TOKEN
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_json(self, tts: Run, tiny: Path, tmp_path: Path) -> None:
        options = ("--fidelity", "--tokens", "12", "--strategy", "context", "--voices-dir", str(tmp_path), "--json")
        result = tts("bench", "--model-dir", str(tiny), *options)
        assert (result.returncode, result.stderr) == (0, b"")
        told = json.loads(result.stdout)
        assert (told["model"], told["voice"], told["tokens"], told["random_weights"]) == ("turbo", "default", 12, True)
        assert "random" in told["summary"][0]
        assert [*told, *told["t3"][0], *told["t3_maps"][0], *told["s3gen"][0]] == documented_fields()

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--engine", "builtin"], "builtin"),
            (["--compare", "upstream"], "--compare"),
            (["--precision", "int8"], "--precision"),
            (["--chunk", "auto"], "--chunk auto"),
            (["--mode", "simple"], "--mode"),
            (["--voice", "eve"], "eve"),
            (["--listen", "/"], "not an empty folder"),
        ],
    )
    def test_errors(self, tts: Run, tiny: Path, options: list[str], says: str) -> None:
        result = tts("bench", "--fidelity", "--model-dir", str(tiny), *options)
        assert result.returncode == 2
        assert says in complaint(result)
        assert result.stdout == b""


def test_listening_needs_fidelity(tts: Run) -> None:
    assert "add --fidelity" in complaint(tts("bench", "--listen", "sounds"))


def documented_fields() -> list[str]:
    page = (ROOT / "docs/lab/experiments.md").read_text(encoding="utf-8")
    table = page.partition("## The JSON object of --fidelity")[2]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_report_is_json(tiny: Path) -> None:
    assert json.loads(json.dumps(report(TestSummary.found)))["s3gen_of"]["int4"] == "bf16"
