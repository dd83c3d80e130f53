"""What Chatterbox tells `tts doctor` about its weights, voices and caches."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tts_cli.engines.chatterbox.diagnostics import findings
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.finding import Finding


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, as the Hugging Face cache has it: links to files that are named by digests."""
    folder = tmp_path / "weights"
    shutil.copytree(tiny, folder)
    (tmp_path / "blobs").mkdir()
    for file in folder.glob("*.safetensors"):
        blob = tmp_path / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(blob)
        file.symlink_to(blob)
    return folder


def look(folder: Path, thorough: bool = False) -> dict[str, Finding]:
    voices = folder.parent / "voices"
    settings = ChatterboxSettings(model_dir=folder, voices_dir=voices, device="cpu")
    return {each.topic: each for each in findings(settings, thorough)}


def test_weights_that_are_whole_and_equal_to_their_digests(folder: Path) -> None:
    told = look(folder, thorough=True)
    assert {each.state for each in told.values()} == {"ok"}
    assert told["weights"].found.endswith("whole and equal to their digests")
    assert told["voices"].found.startswith("default;")
    assert "this CPU has" in told["numbers"].found


def test_weights_that_are_cut_off_are_damaged(folder: Path) -> None:
    blob = next(folder.glob("t3*.safetensors")).resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    told = look(folder)["weights"]
    assert (told.state, "is damaged" in told.found) == ("advice", True)
    assert told.remedy == f"delete {blob} and run: tts model pull"


def test_a_flipped_bit_is_found_by_reading_all(folder: Path) -> None:
    blob = next(folder.glob("s3gen*.safetensors")).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    assert look(folder)["weights"].state == "ok"
    assert "does not have its digest" in look(folder, thorough=True)["weights"].found


def test_a_voice_that_cannot_be_loaded_is_named(folder: Path) -> None:
    voices = folder.parent / "voices"
    voices.mkdir()
    (voices / "anna.pt").write_bytes(b"not a voice")
    told = look(folder)["voices"]
    assert told.state == "advice"
    assert "anna" in told.found
    assert "default" not in told.found


def test_the_size_of_the_cache_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_CACHE_DIR", str(tmp_path / "cache"))
    assert look(folder)["cache"].found.startswith("0 bytes of quantised weights")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x.safetensors").write_bytes(bytes(12_000))
    assert look(folder)["cache"].found.startswith("12.0 kB")
