"""The last values of a sequence: as if all of it had been kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tts_cli.playback.history import History

STEPS = st.lists(st.tuples(st.sampled_from(["add", "back", "beyond"]), st.integers(0, 30)), max_size=20)


@given(STEPS)
def test_the_last_values_are_known_however_they_were_added_and_cut(steps: list[tuple[str, int]]) -> None:
    history = History(1000, np.int64)
    values = [0] * 30  # before the beginning
    for number, (step, count) in enumerate(steps, 1):
        end = len(values) - 30
        if step == "add":
            history.add(np.full(count, number))
            values += [number] * count
        elif step == "beyond":
            history.cut(end + count, -number)
            values += [-number] * count
        else:
            back = min(count, end)
            history.cut(end - back, -number)
            values = values[: len(values) - back]
        end = len(values) - 30
        assert history.end == end
        assert [history.at(position) for position in range(end + 1)] == [*values[30:], None]
        assert history.last(30).tolist() == values[-30:]


def test_only_as_much_as_asked_for_is_stored() -> None:
    history = History(4, np.float32)
    history.add(np.arange(6))
    assert [history.at(position) for position in range(7)] == [2, 2, 2, 3, 4, 5, None]
    assert history.last(4).tolist() == [2, 3, 4, 5]
    history.cut(1, 0)
    assert (history.end, history.at(0), history.at(1)) == (1, 2, None)


def test_all_values_can_be_set() -> None:
    history = History(4, np.int64)
    history.add([7, 8, 9])
    history.overwrite(100)
    assert [history.at(position) for position in range(4)] == [100, 100, 100, None]
