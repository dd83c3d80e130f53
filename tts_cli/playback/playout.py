"""What the audio callback plays: sound from the ring, or silence that does not click.

`Playout` alone decides whether sound flows. Other threads set plain flags; the callback only ever calls `fill`.
"""

from __future__ import annotations

from typing import Final

from tts_cli.audio import Samples, raised_cosine
from tts_cli.playback.ring import Ring

FADE_SECONDS: Final = 0.005


class Playout:
    """Fills the blocks that a device asks for.

    Sound flows as soon as `needed` samples wait in the ring. When the ring runs low before the sound is complete, it
    fades out over its last 5 ms, and every frame of silence counts as *starved* until `needed` samples wait again; then
    it fades in.

    Attributes
    ----------
    needed
        Samples to gather before sound flows.
    draining
        What is in the ring is all there is for now: the text has ended or is not known yet. It is played to its last
        sample, and the silence after it counts as nobody's fault.
    paused
        The listener wants silence. Sound fades out, and goes on with the next sample when this is unset.
    cut
        Sound fades out at once and stays silent.
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
        """Whether what comes next is faded in."""
        self._fade = round(FADE_SECONDS * rate)
        # One ramp for each length, since what is left to fade may be shorter than a fade should be.
        self._up = [raised_cosine(length) for length in range(self._fade + 1)]
        self._down = [ramp[::-1].copy() for ramp in self._up]

    @property
    def playing(self) -> bool:
        """Whether sound flows."""
        return self._open and not self.paused and self.ring.available > 0

    def fill(self, out: Samples) -> None:
        """Write `len(out)` samples to `out`. Real-time: copies and counts, nothing else."""
        if self.cut or self.paused or self.ring.moving:
            self._hush(out)
            if not self.cut and self.ring.move():
                self._open = self._starved = False
            return
        draining = self.draining
        if not self._open:
            if not self.ring.available or not (draining or self.ring.available >= self.needed):
                out.fill(0)
                if self._starved and not draining:
                    self.starved_frames += len(out)
                return
            self._open, self._starved = True, False
        # Enough must stay in the ring to fade out with, should nothing follow.
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
        elif not self.ring.available:  # what follows gathers anew
            self._open = False

    def _hush(self, out: Samples) -> None:
        """Silence, after a fade where sound flowed until now."""
        length = 0
        if self._open and not self._rising:
            length = self.ring.read(out[: self._fade])
            self.played_frames += length
            out[:length] *= self._down[length]
            self._rising = True
        out[length:] = 0
