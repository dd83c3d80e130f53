"""What `tts speak` is heard to say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.harness import PATIENCE, PCM, TTS, Recording, Speaker


def say(speaker: Speaker, *arguments: str, **options: object) -> tuple[Recording, dict[str, Any]]:
    """Run `tts speak --json` on the speaker; what was heard, and what it reported."""
    with speaker.recording() as recording:
        result = subprocess.run(  # type: ignore[call-overload]
            [*TTS, "speak", "--json", *arguments],
            env=speaker.environment,
            check=True,
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            **options,
        )
    return recording, json.loads(result.stdout)


def written(speaker: Speaker, folder: Path, *arguments: str) -> PCM:
    """The same words into a file: int16 `[n]`."""
    subprocess.run([*TTS, "speak", "-q", "-o", "x.wav", *arguments], env=speaker.environment, cwd=folder, check=True)
    sound: PCM = soundfile.read(folder / "x.wav", dtype="int16")[0]
    return sound


def silences(samples: PCM) -> list[int]:
    """Lengths of the runs of exact silence between the first and the last sound."""
    loud = np.flatnonzero(samples)
    gaps = np.diff(loud) - 1
    return [int(gap) for gap in gaps if gap > 100]
