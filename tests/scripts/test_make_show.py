"""The sounds and pictures of docs/show.md: made by its script, all of them, and small."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import soundfile

from tests import warm
from tests.harness import PATIENCE, ROOT, clean_environment

LARGEST = 150_000
"""Bytes: every version of them stays in the repository."""


def test_the_page_shows_what_the_script_makes(tiny: Path, tmp_path: Path) -> None:
    script = str(ROOT / "scripts" / "make_show.py")
    command = [sys.executable, script, "--model-dir", str(tiny), "--random", "--out", str(tmp_path)]
    done = warm.run(command, env=clean_environment() | {"OMP_NUM_THREADS": "1"}, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    page = set(re.findall(r"\(show/([^)]+)\)", (ROOT / "docs" / "show.md").read_text(encoding="utf-8")))
    made, shown = ({file.name: file for file in folder.iterdir()} for folder in (tmp_path, ROOT / "docs" / "show"))
    assert made.keys() == shown.keys() == page
    for file in shown.values():
        assert file.stat().st_size < LARGEST
        if file.suffix == ".ogg":
            sound, rate = soundfile.read(file)
            assert 2 < len(sound) / rate < 6
            assert abs(sound).max() > 0.02
