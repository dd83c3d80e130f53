"""`tts_cli.signals`: a signal is raised as `KeyboardInterrupt`, also if it comes where an exception would be lost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness import PATIENCE, clean_environment

BEGIN = """
import os, signal, sys, time
from tts_cli import signals
signals.listen()
signals.start()
def wait():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        pass
"""
WHILE_C_CODE_IS_IMPORTED = """
from importlib.machinery import ExtensionFileLoader
# Modules of NumPy 1.26 and of 2.5 that drop exceptions while they are imported.
DROPPING = ("numpy.random._common", "numpy._core._multiarray_umath")
def profile(frame, *_):
    caller = frame.f_back
    while caller is not None and caller.f_code is not ExtensionFileLoader.exec_module.__code__:
        caller = caller.f_back
    if frame.f_code.co_name == "find_spec" and caller and caller.f_locals["module"].__name__ in DROPPING:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)
sys.setprofile(profile)
try:
    import numpy.random
    if sys.getprofile():
        sys.exit("no module drops exceptions")
    wait()
except KeyboardInterrupt:
    print(signals.exit_code())
"""
IN_A_CALLBACK = """
import weakref
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
try:
    del thing
    wait()
except KeyboardInterrupt:
    print(signals.exit_code())
"""
IN_A_FINALISER = """
class Thing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
try:
    Thing()
    wait()
except KeyboardInterrupt:
    print(signals.exit_code())
"""
ERROR_IN_A_FINALISER = """
class Thing:
    def __del__(self):
        raise ValueError("seen")
Thing()
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # A signal that comes while Python reads a module leaves the file to be closed by reference counting.
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", BEGIN + program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(
    "program",
    [WHILE_C_CODE_IS_IMPORTED, IN_A_CALLBACK, IN_A_FINALISER],
    ids=["C code is imported", "callback", "finaliser"],
)
def test_a_signal_is_not_lost_where_exceptions_are(program: str) -> None:
    ended = run(program)
    if "no module drops" in ended.stderr:
        pytest.skip("this NumPy drops no exceptions")
    assert (ended.stdout, ended.stderr) == ("143\n", "")


def test_another_error_that_cannot_be_raised_is_still_printed() -> None:
    assert "ValueError: seen" in run(ERROR_IN_A_FINALISER).stderr
