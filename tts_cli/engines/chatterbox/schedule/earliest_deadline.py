"""Decides whose flow or vocoder computes next, where several utterances share an engine.

More computations at once than there are cores make each of them late. So they take turns, one chunk at a time: the
utterance without sound first, then the one whose listener runs out of sound soonest (earliest deadline first).

While an utterance has no sound yet, the others leave one place free. So a core is free for the tokens of its first
chunk, and its flow and its vocoder do not wait for a chunk of another utterance.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import count
from threading import Condition
from types import TracebackType

from tts_cli.engines.chatterbox.schedule.policy import Listener


class Turns:
    """The places in which S3Gen computes.

    Parameters
    ----------
    places
        How many chunks are computed at once, 2 or more: an utterance alone, with a flow and a vocoder, never waits.

    Examples
    --------
    >>> turns = Turns(2)
    >>> turn = turns.of(Listener())
    >>> with turn:
    ...     turn.closed
    False

    Attributes
    ----------
    changed : threading.Condition
        Guards them. Notified when a place is taken or given back.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: list[Turn] = []
        """The turns whose chunks are computed now. A turn can be here twice: for its flow and for its vocoder."""
        self._silent: list[Turn] = []
        """The turns of listeners who had no sound when their utterance began."""
        self.changed = Condition()
        self._waiting: list[tuple[tuple[bool, float, int], Turn]] = []
        self._numbers = count()

    def of(self, listener: Listener) -> Turn:
        """The turns of an utterance, or of a part of one. They must be closed."""
        turn = Turn(self, listener)
        with self.changed:
            if not listener.begun:
                self._silent.append(turn)
        return turn

    @property
    def full(self) -> bool:
        """Whether a chunk is computed in each place."""
        return len(self._held) >= self._places

    @property
    def idle(self) -> bool:
        """Whether S3Gen computes nothing."""
        return not self._held

    def take(self, turn: Turn) -> None:
        """Wait for a place; see `Turn`."""
        with self.changed:
            begun = turn.listener.begun
            waits = (begun, turn.listener.runs_out if begun else 0.0, next(self._numbers)), turn
            self._waiting.append(waits)
            self.changed.wait_for(
                lambda: turn.closed or (self._is_free(begun) and min(self._waiting, key=_urgency) is waits)
            )
            self._waiting.remove(waits)
            self._held.append(turn)
            self.changed.notify_all()

    def give_back(self, turn: Turn) -> None:
        """Free a place."""
        with self.changed:
            self._held.remove(turn)
            self.changed.notify_all()

    def wake(self, turn: Turn) -> None:
        """Let a closed turn wait no longer."""
        with self.changed:
            turn.closed = True
            self._silent = [each for each in self._silent if each is not turn]
            self.changed.notify_all()

    def _is_free(self, begun: bool) -> bool:
        if self.full:
            return False
        self._silent = [each for each in self._silent if not each.listener.begun]
        if not begun or not self._silent:
            return True
        return sum(each.listener.begun for each in self._held) < max(1, self._places - 1)


class Turn(AbstractContextManager[None]):
    """A context manager that waits for a place, and holds it while a chunk is computed. Several threads may use it.

    It is made when the utterance begins, and closed when that ends.

    Attributes
    ----------
    closed
        Whether the utterance has ended. Then entering does not wait, and nothing should be computed.
    """

    def __init__(self, turns: Turns, listener: Listener) -> None:
        self.listener = listener
        self.closed = False
        self._turns = turns

    def __enter__(self) -> None:
        self._turns.take(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.give_back(self)

    def close(self) -> None:
        """End the waiting. Calling it twice is harmless."""
        self._turns.wake(self)


def _urgency(waits: tuple[tuple[bool, float, int], Turn]) -> tuple[bool, float, int]:
    return waits[0]
