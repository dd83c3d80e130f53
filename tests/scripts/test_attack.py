"""A short attack on a server: it withstands, and what it would leave is seen."""

from __future__ import annotations

import subprocess
import sys

import pytest
from attack import Held, report

from tests.harness import PATIENCE, ROOT, clean_environment


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_withstands_a_short_attack() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "attack.py"), "--frames", "100", "--leavers", "16", "--slow", "0"]
    done = subprocess.run(
        command, check=False, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[2:]] == ["frames", "leavers"]


def test_what_is_left_is_a_fault() -> None:
    before = Held(5, 8, 100.0)
    assert report("x", 1, [before, before, Held(5, 8, 119.0)], 1.0)
    assert report("x", 1, [before, Held(5, 8, 130.0), Held(5, 8, 160.0), Held(5, 8, 160.0)], 1.0)
    for left in (Held(6, 8, 100.0), Held(5, 9, 100.0), Held(5, 8, 121.0)):
        assert not report("x", 1, [before, before, left], 1.0)
