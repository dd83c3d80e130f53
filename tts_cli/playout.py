"""What the audio callback plays: sound from the ring, or silence that does not click.

The owner's thread steers through plain flags; the callback only ever calls `fill`.
"""

from __future__ import annotations

from typing import Final

from tts_cli.audio import Samples, raised_cosine
from tts_cli.ring import Ring

FADE_SECONDS: Final = 0.005


class Playout:
    """Fills the blocks a device asks for.

    - While the gate is shut (`open` is false) it plays silence.
    - Once open, it plays the ring. When the ring runs low before the sound is complete, it fades out over its last
      5 ms, shuts the gate and counts every frame of silence as *starved* until the owner opens the gate again; then it
      fades in.
    - `draining` says that what is in the ring is all there is for now (end of the text, or text not yet known): then it
      is played to its last sample, and the silence behind it is nobody's fault.
    - `cut` fades out at once and stays silent.
    """

    def __init__(self, ring: Ring, rate: int) -> None:
        self.ring = ring
        self.open = False
        self.draining = False
        self.cut = False
        self.starved_frames = 0
        self.played_frames = 0
        self._fade = round(FADE_SECONDS * rate)
        # One ramp for each length, since what is left to fade may be shorter than a fade should be.
        self._up = [raised_cosine(length) for length in range(self._fade + 1)]
        self._down = [ramp[::-1].copy() for ramp in self._up]
        self._starved = False

    def fill(self, out: Samples) -> None:
        """Write `len(out)` samples to `out`. Real-time: copies and counts, nothing else."""
        if self.cut:
            self._fade_away(out)
            return
        draining = self.draining
        if not self.open:
            out.fill(0)
            if self._starved and not draining:
                self.starved_frames += len(out)
            return
        # Enough must stay behind in the ring to fade out with, should nothing follow.
        enough = self.ring.available >= len(out) + (0 if draining else self._fade)
        count = self.ring.read(out)
        out[count:] = 0
        self.played_frames += count
        length = min(count, self._fade)
        if self._starved:
            out[:length] *= self._up[length]
            self._starved = False
        if not enough and not draining:
            out[count - length : count] *= self._down[length]
            self._starved = True
            self.open = False
            if self.draining:  # it came during this call, and its opening of the gate must not be undone
                self.open = True
            self.starved_frames += len(out) - count

    def _fade_away(self, out: Samples) -> None:
        length = self.ring.read(out[: self._fade]) if self.open else 0
        out[:length] *= self._down[length]
        out[length:] = 0
        self.open = False
