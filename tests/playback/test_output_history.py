"""What a device was given last: as if all of it had been kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.playback.output_history import OutputHistory

STEPS = st.lists(st.tuples(st.sampled_from(["sound", "silence", "back", "beyond"]), st.integers(0, 30)), max_size=20)


@given(STEPS)
def test_the_last_frames_are_known_however_they_were_sent_and_cut(steps: list[tuple[str, int]]) -> None:
    sent = OutputHistory(1000)
    samples, places = [0.0] * 30, [0] * 30  # the silence before the beginning
    for number, (step, count) in enumerate(steps, 1):
        end = len(samples) - 30
        if step in ("sound", "silence"):
            level = number if step == "sound" else 0
            sent.add(np.full(count, level, np.float32), np.full(count, number))
            samples, places = samples + [level] * count, places + [number] * count
        elif step == "beyond":
            sent.cut(end + count)
            samples, places = samples + [0] * count, places + [places[-1]] * count
        else:
            back = min(count, end)
            sent.cut(end - back)
            samples, places = samples[: len(samples) - back], places[: len(places) - back]
        end = len(samples) - 30
        assert sent.end == end
        assert [sent.place(position) for position in range(end + 1)] == [*places[30:], None]
        assert sent.last(30).tolist() == samples[-30:]
        assert not any(samples[30 + sent.sound_end :])


def test_only_as_much_as_asked_for_is_stored() -> None:
    sent = OutputHistory(4)
    sent.add(np.arange(6, dtype=np.float32), np.arange(6))
    assert [sent.place(position) for position in range(2, 6)] == [2, 3, 4, 5]
    assert sent.last(4).tolist() == [2, 3, 4, 5]


def test_after_a_skip_everything_that_was_sent_leads_to_the_new_place() -> None:
    sent = OutputHistory(4)
    sent.add(np.ones(3, np.float32), np.array([7, 8, 9]))
    sent.moved(100)
    assert [sent.place(position) for position in range(4)] == [100, 100, 100, None]
    assert sent.sound_end == 3
