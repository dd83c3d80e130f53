"""What a loudspeaker plays of an engine that is kept."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.loudspeaker import Speaker, despite_stalls, gaps
from tests.playback.hearing import say, written
from tests.resident.keeping import pids

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"), pytest.mark.speaker]

TEXT = "It rains. It pours."


@despite_stalls
def test_a_warm_run_is_heard_whole_and_without_a_gap(speaker: Speaker, tmp_path: Path) -> None:
    folder = speaker.environment["XDG_RUNTIME_DIR"]
    try:
        sound = written(speaker, tmp_path, TEXT, "--engine", "builtin", "--keep-warm", "10m")
        (keeper,) = pids(folder)
        recording, told = say(speaker, TEXT, "--engine", "builtin", cwd=ROOT)
        assert pids(folder) == [keeper]
        assert told["starved_frames"] == 0
        assert gaps(recording.samples, sound) == []
    finally:
        for pid in pids(folder):
            os.kill(pid, signal.SIGKILL)
