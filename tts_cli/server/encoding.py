"""Encodes sound while it is computed: PCM and WAV."""

from __future__ import annotations

from tts_cli.audio import Samples, to_pcm16


class PcmEncoder:
    """16-bit little-endian PCM, mono.

    Parameters
    ----------
    header
        Bytes before the first sample.
    """

    def __init__(self, header: bytes = b"") -> None:
        self._header = header

    def encode(self, samples: Samples) -> bytes:
        """The samples, after the header if they are the first."""
        header, self._header = self._header, b""
        return header + to_pcm16(samples).tobytes()

    def finish(self) -> bytes:
        """Nothing."""
        return b""
