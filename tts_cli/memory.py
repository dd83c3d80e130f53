"""The memory of the process: how glibc's `malloc` divides it among threads, and when it gives some back."""

from __future__ import annotations

import ctypes
import os
from typing import Final

ARENAS: Final = 4
"""The main arena, and three for the stages of an engine that compute at once. In one arena they wait for each other."""
M_ARENA_MAX: Final = -8
"""The number of this parameter, from glibc's `malloc.h`."""


def share_arenas() -> None:
    """Let threads share `ARENAS` arenas, before the first of them starts.

    By default, glibc gives threads that run at the same time arenas of their own: up to eight for each core. An engine
    may start threads for each segment, and each of them may get another arena than the one before it. Every arena then
    holds partly used pages, which cannot be released, and a process that speaks for hours grows.

    Does nothing without glibc, or if the environment sets `MALLOC_ARENA_MAX`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(M_ARENA_MAX, ARENAS)


def release() -> None:
    """Give the pages that `malloc` does not use back to the system.

    glibc keeps free pages that lie between used ones. If several utterances are spoken at once, large blocks with long
    and short lives lie side by side, and a server grows by hundreds of megabytes. Does nothing without glibc.
    Takes some milliseconds. Other threads compute meanwhile, and wait if they allocate.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
