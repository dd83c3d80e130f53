"""What keys do while a text is spoken: pause, skip, pace, volume, end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

from tts_cli.cli.keys import Key
from tts_cli.subtitles.following import FollowedSink
from tts_cli.utterance import Utterance

SPEED_STEP: Final = 0.1
SLOWEST, FASTEST = 0.5, 2.0
NARROW: Final = 70
"""Columns that the long line needs, with a space at either end."""
VOLUME_STEP: Final = 2.0
QUIETEST, LOUDEST = -40.0, 20.0


class Controls:
    """Steers an utterance by keys.

    Parameters
    ----------
    run
        The utterance.
    speed, volume
        The pace and the volume, in dB, at which its sound is computed.
    """

    def __init__(self, run: Utterance, speed: float, volume: float) -> None:
        self._run = run
        self.followed: FollowedSink | None = None
        """Knows which sentence is heard; None if nothing does. Without it, skips go by segments."""
        self._own = speed, volume
        self._speed, self._volume = speed, volume
        self._actions: Mapping[Key, Callable[[], None]] = {
            "space": self._pause,
            "left": lambda: self._skip(-1),
            "right": lambda: self._skip(1),
            "up": lambda: self._adjust(SPEED_STEP, 0),
            "down": lambda: self._adjust(-SPEED_STEP, 0),
            "plus": lambda: self._adjust(0, VOLUME_STEP),
            "minus": lambda: self._adjust(0, -VOLUME_STEP),
            "q": lambda: os.kill(os.getpid(), signal.SIGINT),
        }

    def pressed(self, key: Key) -> None:
        """Do what a key means."""
        self._actions[key]()

    def line(self, width: int) -> str:
        """The keys, in one line for a terminal of so many columns: of at most 68, or of at most 38."""
        if width < NARROW:
            return f"space pause ←→ ↑↓ {self._speed:.1f} +- {self._volume:+.0f} dB q quit"
        return f"space pause  ←→ sentence  ↑↓ speed {self._speed:.1f}  +- volume {self._volume:+.0f} dB  q quit"

    def _pause(self) -> None:
        if self._run.state == "paused":
            self._run.resume()
        else:
            self._run.pause()

    def _skip(self, by: int) -> None:
        if self.followed is None or not self.followed.skip_sentence(by):
            self._run.skip(by)

    def _adjust(self, faster: float, louder: float) -> None:
        speed = min(max(round(self._speed + faster, 2), SLOWEST), FASTEST)
        volume = min(max(self._volume + louder, QUIETEST), LOUDEST)
        if self._run.adjust(speed / self._own[0], volume - self._own[1]):
            self._speed, self._volume = speed, volume
