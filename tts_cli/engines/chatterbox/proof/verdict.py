"""Grades how close a precision or strategy is to the reference, which is fp32 with the utterance decoded whole.

`fidelity` measures these numbers, and their limits are constants here:

- **KL**: the KL divergence of a precision's next-token distribution from that of fp32, in nats, at temperature 1, for
  the same earlier tokens. By Pinsker's inequality, the two give probabilities that differ by √(KL / 2) at most to any
  set of tokens. So with the best coupling of both draws, another token is drawn at most that often: one in twenty at
  0.005 nats, one in six at 0.05 nats. That token is one that fp32 could have drawn, too. The 95th percentile may be
  four times as large.
- **Distance**: the distance of mel levels to the reference, RMS, in dB (`distance`). In speech coding, 1 dB counts as
  transparent for spectral envelopes, and 2 dB as an outlier (Paliwal and Atal 1993, IEEE Trans. Speech and Audio
  Processing 1(1)). A sound with a larger distance can be as good: the reference with other noise is one. Up to that
  distance, the sound may be another take of the same text, which only listening can tell.
- **SNR**: signal over difference from the reference, in dB. It is not graded, because phases are hardly heard.
- **Pitch**: the median difference in F0 where both have a pitch, in cents, and the fraction of frames in which both
  have one or neither has. It is not graded, because the reference with other noise has another melody, too.
- **Loudness drift**: the slope of the difference in level over the utterance, in dB per 10 s. Differences of about 1 dB
  are heard (Zwicker and Fastl, Psychoacoustics). With 3 dB, the speaker seems to walk.
- **Timbre drift**: the change of the difference in mean mel spectrum from the first quarter to the last, without
  loudness, RMS over bands, in dB. A changed shape of a spectrum is heard from 1 or 2 dB (Green 1988, Profile Analysis).
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
"""The entropy of a uniform distribution over all tokens, in nats."""
FLAT: Final = 0.75
"""Weights with this fraction of `FAIR` or more look random. Trained models of speech tokens have far less."""

KL: Final = (0.005, 0.05)
KL_TAIL: Final = (0.02, 0.2)
DISTANCE: Final = (1.0, 2.0)
LOUDNESS: Final = (1.0, 3.0)
TIMBRE: Final = (1.0, 2.0)
"""For all of these: up to the first number it is the same, up to the second close."""


class Grade(IntEnum):
    """How a precision or strategy compares with the reference, from best to worst."""

    SAME = 0
    CLOSE = 1
    ANOTHER = 2
    DIFFERENT = 3

    @classmethod
    def of(cls, value: float, limits: tuple[float, float]) -> Grade:
        """The grade of a value that is better the smaller it is. NaN is `DIFFERENT`.

        Examples
        --------
        >>> Grade.of(1.5, DISTANCE).name
        'CLOSE'
        """
        return cls.SAME if value <= limits[0] else cls.CLOSE if value <= limits[1] else cls.DIFFERENT

    @property
    def words(self) -> str:
        """The grade in words."""
        return (
            "as good as fp32 for the ear",
            "close to fp32",
            "another take, as other noise gives",
            "differs audibly",
        )[self]

    @property
    def brief(self) -> str:
        """The grade in a word or two, for a table."""
        return ("as fp32", "close", "another take", "differs")[self]


@dataclass(frozen=True, slots=True)
class TokenFidelity:
    """T3's next-token distributions in a precision, compared with those of fp32."""

    precision: str
    kl: float
    kl_tail: float
    """The 95th percentile of `kl`."""
    agreement: float
    """The fraction of positions at which the likeliest token is the same."""

    @property
    def grade(self) -> Grade:
        """The grade of KL. `agreement` is not graded, because several tokens can be about equally likely."""
        return max(Grade.of(self.kl, KL), Grade.of(self.kl_tail, KL_TAIL))

    @property
    def words(self) -> str:
        """The verdict."""
        other = math.sqrt(max(self.kl, 0.0) / 2)
        return f"{self.grade.words}: another token at most {other:.1%} of the time" if other < 1 else self.grade.words


@dataclass(frozen=True, slots=True)
class MapError:
    """The error of a linear map of T3 in a precision, compared with fp32 for the same input."""

    precision: str
    layer: int | None
    """The number of its layer; None for the last map."""
    map: str
    error: float
    """The norm of the difference over the norm of fp32's result; the median over positions."""


@dataclass(frozen=True, slots=True)
class SoundFidelity:
    """The sound of a precision and strategy, compared with the reference for the same tokens and noise."""

    precision: str
    """S3Gen's."""
    strategy: str
    distance: float
    snr: float
    loudness_drift: float
    timbre_drift: float
    cents: float = math.nan
    """The median difference in F0; NaN if no frame of both has a pitch."""
    voicing: float = math.nan
    """The fraction of frames in which both have a pitch or neither has."""

    def grade(self, other_noise: float) -> Grade:
        """The worst grade of all numbers. `other_noise` is the distance of the reference with other noise, in dB."""
        near = Grade.of(self.distance, DISTANCE)
        if near is Grade.DIFFERENT and self.distance <= other_noise:
            near = Grade.ANOTHER
        return max(near, Grade.of(abs(self.loudness_drift), LOUDNESS), Grade.of(self.timbre_drift, TIMBRE))

    def words(self, other_noise: float) -> str:
        """The grade in words, and what drifts."""
        said = [self.grade(other_noise).words]
        if Grade.of(abs(self.loudness_drift), LOUDNESS) is not Grade.SAME:
            said.append(f"loudness drifts by {self.loudness_drift:+.1f} dB in 10 s")
        if Grade.of(self.timbre_drift, TIMBRE) is not Grade.SAME:
            said.append(f"timbre drifts by {self.timbre_drift:.1f} dB")
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """All numbers."""

    entropy: float
    """The mean entropy of fp32's next-token distributions, in nats."""
    other_noise: float
    """The distance of the reference with other noise, in dB."""
    tokens: tuple[TokenFidelity, ...]
    """For every precision except fp32."""
    sounds: tuple[SoundFidelity, ...]
    """For every precision of S3Gen and every strategy, except the reference."""
    decoders: Mapping[str, str]
    """The precision of S3Gen that goes with each precision."""
    other_pitch: tuple[float, float] = (math.nan, math.nan)
    """`cents` and `voicing` of the reference with other noise."""
    maps: tuple[MapError, ...] = ()
    """For every precision except fp32, from T3's first map to its last."""

    @property
    def random(self) -> bool:
        """Whether the weights look random: T3 knows almost nothing about the next token."""
        return not self.entropy < FLAT * FAIR


def summary(found: Fidelity) -> list[str]:
    """The verdict: a line for each grade with its strategies and precisions, after a warning if weights look random."""
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
            named = "; ".join(f"{strategy} in {', '.join(names)}" for strategy, names in strategies.items())
            lines.append(f"{grade.words.capitalize()}: {named}.")
    return lines


def report(found: Fidelity) -> dict[str, Any]:
    """All numbers and the verdict, for `--json`. docs/lab/experiments.md describes the fields."""
    return {
        "entropy_nats": round(found.entropy, 3),
        "random_weights": found.random,
        "other_noise_db": round(found.other_noise, 3),
        "other_noise_cents": _rounded(found.other_pitch[0], 1),
        "other_noise_voicing": _rounded(found.other_pitch[1], 4),
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
                "pitch_cents": _rounded(row.cents, 1),
                "voicing": _rounded(row.voicing, 4),
                "verdict": row.words(found.other_noise),
            }
            for row in found.sounds
        ],
        "s3gen_of": dict(found.decoders),
        "summary": summary(found),
    }


def _rounded(value: float, digits: int) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, digits)
