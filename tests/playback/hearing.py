"""What `tts speak` is heard to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests import warm
from tests.harness import TTS
from tests.loudspeaker import PCM, Recording, Speaker


def say(speaker: Speaker, *arguments: str, **options: Any) -> tuple[Recording, dict[str, Any]]:
    """Run `tts speak --json` on the speaker; what was heard, and what it reported."""
    with speaker.recording() as recording:
        result = warm.run([*TTS, "speak", "--json", *arguments], env=speaker.environment, **options)
    assert result.returncode == 0, result.stderr
    return recording, json.loads(result.stdout)


def written(speaker: Speaker, folder: Path, *arguments: str) -> PCM:
    """The same words into a file: int16 `[n]`."""
    done = warm.run([*TTS, "speak", "-q", "-o", "x.wav", *arguments], env=speaker.environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    sound: PCM = soundfile.read(folder / "x.wav", dtype="int16")[0]
    return sound


def silences(samples: PCM) -> list[int]:
    """Lengths of the runs of exact silence between the first and the last sound."""
    loud = np.flatnonzero(samples)
    gaps = np.diff(loud) - 1
    return [int(gap) for gap in gaps if gap > 100]
