"""What an output plays: sound from the ring, or silence, with fades between them.

Only `Playout` decides whether sound flows. Other threads set plain flags; the output's thread calls its methods.
"""

from __future__ import annotations

from typing import Final

from tts_cli.audio import Samples, raised_cosine
from tts_cli.playback.ring import Ring

FADE_SECONDS: Final = 0.005


class Playout:
    """Fills the blocks that a device asks for.

    Sound flows as soon as `needed` samples wait in the ring. When the ring holds too little for a block and more sound
    is to come, the sound fades out over its last 5 ms. Every frame of silence then counts as starved, until `needed`
    samples wait again and the sound fades in.

    Parameters
    ----------
    ring
        What is read.
    rate
        Frames a second of the device.

    Attributes
    ----------
    needed
        Samples to gather before sound flows.
    draining
        Whether the ring holds all sound for now, because the text has ended or is not known yet. The sound is then
        played to its last sample, and the silence after it does not count as starved.
    paused
        Whether to be silent. Sound fades out, and continues with the next sample when this is unset.
    cut
        Whether to be silent for good. Sound fades out.
    """

    def __init__(self, ring: Ring, rate: int) -> None:
        self.ring = ring
        self.needed = ring.capacity
        self.draining = False
        self.paused = False
        self.cut = False
        self.starved_frames = 0
        self.played_frames = 0
        self._open = False
        self._starved = False
        self._rising = False
        """Whether the next sound is faded in."""
        self._fade = round(FADE_SECONDS * rate)
        # One ramp for each length, because fewer samples may be left than a fade takes.
        self._up = [raised_cosine(length) for length in range(self._fade + 1)]
        self._down = [ramp[::-1].copy() for ramp in self._up]

    @property
    def playing(self) -> bool:
        """Whether sound flows."""
        return self._open and not self.paused and self.ring.available > 0

    @property
    def silenced(self) -> bool:
        """Whether to be silent, for now or for good."""
        return self.cut or self.paused or self.ring.moving

    @property
    def opening(self) -> bool:
        """Whether sound does not flow yet, and begins to flow in the next block."""
        if self.silenced or (self._open and not self._rising):
            return False
        return self._open or self._enough(self.draining)

    @property
    def starving(self) -> bool:
        """Whether silence is played because the sound is not computed in time."""
        return self._starved and not self._open

    def at_hand(self, count: int) -> int:
        """How many of `count` samples can be filled now so that the ring still has enough for a fade after them.

        All of them if no sound flows, or if the ring holds all that there is.
        """
        if not self._open or self.silenced or self.draining:
            return count
        return max(0, min(count, self.ring.available - self._fade))

    def hush(self) -> None:
        """Let the next block begin without a fade of the sound before it."""
        self._rising = self._rising or self._open

    def take_back(self, frames: int) -> None:
        """Count the last `frames` frames of sound as not played. They are played next, after a fade in."""
        if frames:
            self.ring.unread(frames)
            self.played_frames -= frames
            self._rising = True

    def fill(self, out: Samples) -> None:
        """Write a block of samples `[n]` to `out`. It must not be late: it copies, multiplies and counts."""
        if self.silenced:
            self._fade_out(out)
            if not self.cut and self.ring.move():
                self._open = self._starved = False
            return
        draining = self.draining
        if not self._open:
            if not self._enough(draining):
                out.fill(0)
                if self._starved and not draining:
                    self.starved_frames += len(out)
                return
            self._open, self._starved = True, False
        # Enough samples must stay in the ring for a fade, in case nothing is written before the next block.
        enough = self.ring.available >= len(out) + (0 if draining else self._fade)
        count = self.ring.read(out)
        out[count:] = 0
        self.played_frames += count
        length = min(count, self._fade)
        if self._rising:
            out[:length] *= self._up[length]
            self._rising = False
        if enough:
            return
        if not draining:
            out[count - length : count] *= self._down[length]
            self._starved = self._rising = True
            self._open = False
            self.starved_frames += len(out) - count
        elif not self.ring.available:  # the next sound gathers a pre-buffer of its own
            self._open = False

    def _enough(self, draining: bool) -> bool:
        """Whether the ring holds enough for sound to begin."""
        return self.ring.available >= (1 if draining else max(1, self.needed))

    def _fade_out(self, out: Samples) -> None:
        """Write silence, after a fade if sound was flowing."""
        length = 0
        if self._open and not self._rising:
            length = self.ring.read(out[: self._fade])
            self.played_frames += length
            out[:length] *= self._down[length]
            self._rising = True
        out[length:] = 0
