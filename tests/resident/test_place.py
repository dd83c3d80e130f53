"""Which process is found: the key of what it has loaded, and the folder of its socket."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, Run, complaint
from tests.resident.keeping import SAMPLES, kept, speak
from tts_cli.engines.builtin import ENGINE
from tts_cli.engines.chatterbox import ENGINE as CHATTERBOX
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.resident.place import place_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize("what", ["a file", "open to all"])
def test_a_folder_that_is_not_the_users_own_is_refused_and_never_used(
    tts: Run, environment: dict[str, str], what: str
) -> None:
    folder = Path(environment["XDG_RUNTIME_DIR"], "tts")
    if what == "a file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777)
    options = ["Hi.", "--engine", f"{SAMPLES}ToneEngine"]
    refused = speak(tts, *options, "--keep-warm", "10m")
    assert refused.returncode == 2
    assert "XDG_RUNTIME_DIR" in complaint(refused)
    assert speak(tts, *options).returncode == 0
    assert "no engine is kept" in kept(tts)[0]


def test_other_settings_are_another_place(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", environment["XDG_RUNTIME_DIR"])
    settings = [ChatterboxSettings(), ChatterboxSettings(threads=1), ChatterboxSettings(model_dir=Path("/x"))]
    keys = [place_of(CHATTERBOX, each).key for each in settings] + [place_of(ENGINE, ENGINE.settings()).key]
    monkeypatch.setenv("TTS_MODEL_DIR", "/y")
    keys.append(place_of(CHATTERBOX, settings[0]).key)
    assert len(set(keys)) == 5
    assert place_of(CHATTERBOX, ChatterboxSettings()).key == keys[-1]


def test_after_an_edit_of_the_code_another_process_speaks(
    tts: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """Of this package in a checkout, and of a module that names an engine."""
    shutil.copytree(ROOT / "tts_cli", tmp_path / "tts_cli", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    own = "from tests.sample_engines import ToneEngine as Mine\n"
    (tmp_path / "mine.py").write_text(own)
    changed = environment | {"PYTHONPATH": str(tmp_path)}

    def processes() -> int:
        options = ["Hi.", "--engine", "mine:Mine", "--keep-warm", "10m"]
        assert speak(tts, *options, env=changed, cwd=tmp_path).returncode == 0
        return len(kept(tts))

    assert [processes(), processes()] == [1, 1]
    for number, edited in enumerate([tmp_path / "tts_cli" / "text" / "marks.py", tmp_path / "mine.py"]):
        edited.write_text(f"{edited.read_text()}# edited\n")
        assert [processes(), processes()] == [2 + number, 2 + number]
