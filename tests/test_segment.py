"""What a segment says of itself."""

from __future__ import annotations

from tts_cli.segment import Segment


def test_the_first_segment_keeps_the_seed_and_every_other_has_its_own() -> None:
    assert [Segment.of("Again.").seed(seed) for seed in (0, 7, 2**64 - 1)] == [0, 7, 2**64 - 1]
    seeds = {Segment.of("Again.", number).seed(seed) for seed in range(20) for number in range(1, 50)}
    assert len(seeds) == 20 * 49
    assert all(20 < seed < 2**62 for seed in seeds), "what torch and numpy take, on every device"
    assert Segment.of("Again.", 3).seed(1) == Segment.of("Anything.", 3).seed(1), "the text has no part in it"
