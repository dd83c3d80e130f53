"""Messages between the process that plays and the one that it plays for.

Samples are float32 in the machine's own byte order. The socket is closed when nothing more shall be played.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

WRITE: Final = 0
"""Play the samples after all others."""
REPLACE: Final = 1
"""Play the samples instead of those that wait, after a short fade."""
ORDER: Final = Struct("=BI")
"""What is to be done, and the number of samples that follow."""

_REPORT: Final = Struct("=5q")
REPORT_SIZE: Final = _REPORT.size
FAILED: Final = -1


class Report(NamedTuple):
    """How playing stands. Positions count samples from the beginning of the stream."""

    read: int
    """The position of the next sample that the device gets. `FAILED` if the device cannot play: the reason follows the
    report, as UTF-8."""
    dry: int = 0
    """How often there was nothing to play, or the device ran dry."""
    replaced: int = 0
    """How many orders to replace samples were carried out."""
    begin: int = 0
    """The position at which the samples of the last such order begin."""
    delay: int = 0
    """How many samples the device stores."""

    def packed(self) -> bytes:
        """As it is sent."""
        return _REPORT.pack(*self)


def report_of(data: bytes | bytearray) -> Report:
    """The report that `Report.packed` has written."""
    return Report(*_REPORT.unpack(data))
