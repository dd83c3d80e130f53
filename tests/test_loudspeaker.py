"""The comparison of what was heard with the sound knows an underrun from damage."""

from __future__ import annotations

import numpy as np
import pytest

from tests.loudspeaker import PCM, DamagedError, Gap, gaps


def joined(*parts: PCM | int) -> PCM:
    """A recording of these parts of a sound; a number is so much silence."""
    return np.concatenate([np.zeros(part, np.int16) if isinstance(part, int) else part for part in parts])


SOUND = np.random.default_rng(5).integers(-9, 10, 20_000).astype(np.int16)


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        (joined(900, SOUND, 500), []),
        (joined(900, SOUND[:7000], 600, SOUND[7000:], 500), [Gap(7000, 600, 0)]),
        (joined(900, SOUND[:7000], 600, SOUND[7900:], 500), [Gap(7000, 600, 900)]),
        (joined(900, SOUND[:7000], 600, SOUND[7000:9000], 1, SOUND[9000:], 500), [Gap(7000, 600, 0), Gap(9000, 1, 0)]),
        (joined(900, SOUND[:19_500], 500), [Gap(19_500, 500, 500)]),
    ],
)
def test_the_comparison_knows_an_underrun(heard: PCM, found: list[Gap]) -> None:
    assert gaps(heard, SOUND) == found


@pytest.mark.parametrize(
    "heard",
    [
        joined(900, SOUND[:7000], SOUND[7900:], 500),
        joined(900, SOUND[:7000], SOUND[6100:], 500),
        joined(900, SOUND[:7000], 600, SOUND[6100:], 500),
        joined(900, SOUND[:6000], 600, SOUND[19_000:], 500),
        joined(900, SOUND[:7000], SOUND[8000:9000], SOUND[7000:8000], SOUND[9000:], 500),
        joined(900, SOUND[:7000], SOUND[7000:7001] + 1, SOUND[7001:], 500),
        joined(900, SOUND[:6000], 500),
        joined(900, SOUND, 500, SOUND[-900:]),
        joined(900),
    ],
    ids=[
        "lost",
        "doubled",
        "doubled after a gap",
        "lost after a gap",
        "swapped",
        "clicked",
        "cut",
        "echo",
        "silence",
    ],
)
def test_the_comparison_knows_damage(heard: PCM) -> None:
    with pytest.raises(DamagedError):
        gaps(heard, SOUND)
