"""Sound into something that cannot be rewound: standard output, a named pipe, a device file."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import BinaryIO, Final

from tts_cli.audio import SAMPLE_RATE, Samples, to_pcm16
from tts_cli.errors import OutputError
from tts_cli.sinks import NullSink

UNKNOWN_LENGTH: Final = 0xFFFF_FFFF
"""What a WAV header says where the length is not known yet; players then read to the end, as they do from ffmpeg."""


def wav_header(rate: int) -> bytes:
    """A 44-byte RIFF header for 16-bit mono PCM of unknown length."""
    width = 2
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", UNKNOWN_LENGTH, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * width, width, 8 * width),
        *(b"data", UNKNOWN_LENGTH - 36),
    )


def open_stream(path: Path) -> StreamSink | None:
    """A sink for a named pipe or a device file at `path`, which no file may replace; None for anything else."""
    if not path.exists() or path.is_file() or path.is_dir():
        return None
    try:
        return StreamSink(path.open("wb"), str(path), raw=False, owned=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}", "choose another place with -o") from error


class StreamSink(NullSink):
    """Writes WAV (or bare 16-bit PCM) to `file`, each chunk at once. Closes it only where it is `owned`."""

    def __init__(self, file: BinaryIO, name: str, raw: bool, owned: bool = False) -> None:
        self._file = file
        self._owned = owned
        self._name = name
        self._header = b"" if raw else wav_header(SAMPLE_RATE)

    def write(self, samples: Samples, needed: float) -> None:  # noqa: ARG002
        """Write and flush. Raises `OutputError` when the reader has gone or the disk is full."""
        self._send(self._header + to_pcm16(samples).tobytes())
        self._header = b""

    def finish(self) -> None:
        """A header even for no sound at all, so that the result is always a WAV."""
        self._send(self._header)

    def close(self) -> None:
        """Close the file, if it is ours. What could not be written has been reported before."""
        if self._owned:
            with contextlib.suppress(OSError):
                self._file.close()

    def _send(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError as error:
            raise OutputError(
                f"{self._name} was closed before all sound was written", "let its reader read to the end"
            ) from error
        except OSError as error:
            raise OutputError(
                f"cannot write to {self._name}: {error.strerror or error}",
                "free some space or choose another place with -o",
            ) from error
