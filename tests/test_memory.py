"""The command line's threads share arenas of `malloc`, and what it does not use goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness import PATIENCE, clean_environment
from tts_cli.memory import ARENAS

COUNT = """
import ctypes, sys, threading
from tts_cli.cli import run

sys.argv = ["tts", "--version"]
run()
libc, together = ctypes.CDLL(None), threading.Barrier(6)
libc.malloc.restype = ctypes.c_void_p

def allocate():
    together.wait()
    libc.malloc(100_000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def arenas(**environment: str) -> int:
    """How many arenas a process has after `tts` and six threads that ran at the same time."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_threads_share_arenas_unless_the_environment_says_otherwise() -> None:
    assert arenas() == ARENAS
    assert arenas(MALLOC_ARENA_MAX="2") == 2


HOLES = """
import ctypes
from pathlib import Path
from tts_cli.memory import release

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)
blocks = [libc.malloc(100_000) for _ in range(2000)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for number, block in enumerate(blocks):
    if (number + 1) % 20:
        libc.free(block)  # each twentieth is used, the last one included
before = resident()
release()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_between_those_that_are_used_are_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLES],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert int(done.stdout) > 150
