"""What a faster way of computing is worth beside the reference: fp32, the utterance decoded whole.

What is measured (`fidelity`), and from where on it matters:

- **KL** divergence of a precision's next-token distribution from fp32's, in nats, at temperature 1, both being given
  the same tokens. By Pinsker's inequality two distributions differ by at most √(KL / 2) in what they give to any set of
  tokens, so drawing from both with the best coupling gives another token at most so often: at 0.005 nats once in
  twenty tokens, at 0.05 nats once in six. What is drawn then is a token that fp32 might have drawn, too. The 95th
  percentile may be four times as much.
- **Distance**: of mel levels to the reference, RMS, in dB (`distance`). 1 dB is what speech coding takes for
  transparent in spectral envelopes, 2 dB for an outlier (Paliwal and Atal 1993, IEEE Trans. Speech and Audio
  Processing 1(1)). A sound can be further away and as good: the reference is with other noise. Up to that distance it
  may be another take of the same; ears have to say.
- **SNR** of the wave against the reference, in dB. Not judged: ears forgive phases.
- **Loudness drift**: slope of the difference in level to the reference over the utterance, in dB in 10 s. Differences
  in level are heard from about 1 dB (Zwicker and Fastl, Psychoacoustics); three times that is a speaker who walks.
- **Timbre drift**: how differently the mean mel spectra of the first quarter and the last stand to the reference's,
  loudness aside, RMS over bands, in dB. A change of a spectrum's shape is heard from 1 or 2 dB (Green 1988, Profile
  Analysis).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY

WHOLE: Final = "whole"
FAIR: Final = math.log(SPEECH_VOCABULARY)
"""Entropy of a fair draw among all tokens, in nats."""
FLAT: Final = 0.75
"""From this share of it on, weights look random: trained models of speech tokens stay far below."""

KL: Final = (0.005, 0.05)
KL_TAIL: Final = (0.02, 0.2)
DISTANCE: Final = (1.0, 2.0)
LOUDNESS: Final = (1.0, 3.0)
TIMBRE: Final = (1.0, 2.0)
"""Each: up to the first it is the same, up to the second close."""


class Grade(IntEnum):
    """How a way of computing compares with the reference, from best to worst."""

    SAME = 0
    CLOSE = 1
    ANOTHER = 2
    DIFFERENT = 3

    @classmethod
    def of(cls, value: float, limits: tuple[float, float]) -> Grade:
        """What `value` is worth; not a number is worth nothing."""
        return cls.SAME if value <= limits[0] else cls.CLOSE if value <= limits[1] else cls.DIFFERENT

    @property
    def words(self) -> str:
        """For the user."""
        return (
            "as good as fp32 for the ear",
            "close to fp32",
            "another take, as other noise gives",
            "differs audibly",
        )[self]


@dataclass(frozen=True, slots=True)
class TokenFidelity:
    """T3's next-token distributions in one precision, against fp32's."""

    precision: str
    kl: float
    kl_tail: float
    """95th percentile."""
    agreement: float
    """Share of positions at which both find the same token likeliest."""

    @property
    def grade(self) -> Grade:
        """By KL alone: where several tokens are about equally likely, which is likeliest says little."""
        return max(Grade.of(self.kl, KL), Grade.of(self.kl_tail, KL_TAIL))

    @property
    def words(self) -> str:
        """The verdict."""
        other = math.sqrt(max(self.kl, 0.0) / 2)
        return f"{self.grade.words}: another token at most {other:.1%} of the time" if other < 1 else self.grade.words


@dataclass(frozen=True, slots=True)
class MapError:
    """How far one linear map of T3 in one precision is from fp32's, both given the same."""

    precision: str
    layer: int | None
    """None after the last."""
    map: str
    error: float
    """Norm of the difference over that of fp32's, median over positions."""


@dataclass(frozen=True, slots=True)
class SoundFidelity:
    """S3Gen's sound in one precision and strategy, against fp32 decoded whole, from the same tokens and noise."""

    precision: str
    """S3Gen's."""
    strategy: str
    distance: float
    snr: float
    loudness_drift: float
    timbre_drift: float

    def grade(self, other_noise: float) -> Grade:
        """The worst of what is judged. `other_noise` is the distance at which the reference is with other noise."""
        near = Grade.of(self.distance, DISTANCE)
        if near is Grade.DIFFERENT and self.distance <= other_noise:
            near = Grade.ANOTHER
        return max(near, Grade.of(abs(self.loudness_drift), LOUDNESS), Grade.of(self.timbre_drift, TIMBRE))

    def words(self, other_noise: float) -> str:
        """The verdict, and what drifts."""
        said = [self.grade(other_noise).words]
        if Grade.of(abs(self.loudness_drift), LOUDNESS) is not Grade.SAME:
            said.append(f"loudness drifts by {self.loudness_drift:+.1f} dB in 10 s")
        if Grade.of(self.timbre_drift, TIMBRE) is not Grade.SAME:
            said.append(f"timbre drifts by {self.timbre_drift:.1f} dB")
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """All that was measured."""

    entropy: float
    """Of fp32's next-token distribution, mean, in nats."""
    other_noise: float
    """dB from the reference to the same with other noise."""
    tokens: tuple[TokenFidelity, ...]
    """Of every precision but fp32."""
    sounds: tuple[SoundFidelity, ...]
    """Of every precision of S3Gen and every strategy, but the reference."""
    decoders: Mapping[str, str]
    """The precision of S3Gen that goes with each precision."""
    maps: tuple[MapError, ...] = ()
    """Of every precision but fp32, from T3's first map to its last."""

    @property
    def random(self) -> bool:
        """Whether T3 knows next to nothing about the next token, as untrained weights do."""
        return not self.entropy < FLAT * FAIR


def summary(found: Fidelity) -> list[str]:
    """The verdict in total: what each strategy and precision amounts to, and what that is worth."""
    lines = []
    if found.random:
        lines.append(
            f"These weights look random: T3's next token has {found.entropy:.1f} nats of entropy, of {FAIR:.1f} that a "
            "fair draw has. So nothing here proves anything about how speech sounds."
        )
    drawn = {"fp32": Grade.SAME} | {row.precision: row.grade for row in found.tokens}
    ways: dict[Grade, dict[str, list[str]]] = {grade: {} for grade in Grade}
    for row in found.sounds:
        for precision in (name for name, decoder in found.decoders.items() if decoder == row.precision):
            grade = max(drawn[precision], row.grade(found.other_noise))
            ways[grade].setdefault(row.strategy, []).append(precision)
    for grade, strategies in ways.items():
        if strategies:
            told = "; ".join(f"{strategy} in {', '.join(names)}" for strategy, names in strategies.items())
            lines.append(f"{grade.words.capitalize()}: {told}.")
    return lines


def report(found: Fidelity) -> dict[str, Any]:
    """As `--json` shows it; the fields are described in docs/lab/experiments.md."""
    return {
        "entropy_nats": round(found.entropy, 3),
        "random_weights": found.random,
        "other_noise_db": round(found.other_noise, 3),
        "t3": [
            {
                "precision": row.precision,
                "kl_nats": round(row.kl, 6),
                "kl_p95_nats": round(row.kl_tail, 6),
                "same_choice": round(row.agreement, 4),
                "verdict": row.words,
            }
            for row in found.tokens
        ],
        "t3_maps": [
            {"precision": row.precision, "layer": row.layer, "map": row.map, "error": round(row.error, 6)}
            for row in found.maps
        ],
        "s3gen": [
            {
                "precision": row.precision,
                "strategy": row.strategy,
                "distance_db": round(row.distance, 3),
                "snr_db": round(row.snr, 2),
                "loudness_drift_db": round(row.loudness_drift, 3),
                "timbre_drift_db": round(row.timbre_drift, 3),
                "verdict": row.words(found.other_noise),
            }
            for row in found.sounds
        ],
        "s3gen_of": dict(found.decoders),
        "summary": summary(found),
    }
