"""Voices that clients make of recordings, and remove."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.harness import PATIENCE
from tests.server.serving import Server, serving

pytest.importorskip("torch")

VOICES = "/v1/audio/voices"


def encoded(sound: Any, rate: int, kind: str = "FLAC") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=kind)
    return file.getvalue()


def promising(frames: int) -> bytes:
    """A FLAC of eight channels at 655 kHz whose header promises more than it has."""
    data = bytearray(encoded(np.zeros((4096, 8)), 48_000))
    place = data.index(b"fLaC") + 8 + 10
    data[place : place + 8] = (655_350 << 44 | 7 << 41 | 15 << 36 | frames).to_bytes(8, "big")
    return bytes(data)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voices")


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server puts what it has been sent."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def making(tiny: Path, voices: Path, uploads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Chatterbox with all files that making voices needs, of which one is empty."""
    folder = tmp_path_factory.mktemp("model")
    for file in tiny.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "ve.safetensors").touch()
    shutil.copy(tiny / "conds.pt", voices / "bob.pt")
    options = ["--model-dir", str(folder), "--voices-dir", str(voices), "--no-watermark", "--precision", "fp32"]
    with serving("--allow-voices", *options, engine="chatterbox", TMPDIR=str(uploads)) as server:
        yield server
    assert list(uploads.iterdir()) == []


def post(server: Server, name: str, recording: bytes, path: str = VOICES) -> tuple[int, dict[str, Any]]:
    """The status, and the error."""
    parts = {"audio_sample": ("../../me.wav", recording)}
    answer = httpx.post(f"{server.url}{path}", data={"name": name}, files=parts, timeout=PATIENCE)
    return answer.status_code, answer.json().get("error", {})


def delete(server: Server, name: str) -> tuple[int, str]:
    answer = httpx.delete(f"{server.url}{VOICES}/{name}", timeout=PATIENCE)
    return answer.status_code, answer.json().get("error", {}).get("message", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../me", "cannot name a voice"),
        ("-me", "cannot name a voice"),
        ("x" * 65, "cannot name a voice"),
        ("Heart", "a voice of the built-in voice itself"),
        ("default", "a voice of Chatterbox itself"),
        ("bob", "there is already a voice called 'bob'"),
    ],
)
def test_a_name_is_checked_as_on_the_command_line(making: Server, voices: Path, name: str, words: str) -> None:
    before = (voices / "bob.pt").read_bytes()
    status, error = post(making, name, b"x")
    assert (status, error["param"]) == (400, "name")
    assert words in error["message"]
    assert error["message"].endswith("choose another name")
    assert [file.name for file in voices.iterdir()] == ["bob.pt"]
    assert (voices / "bob.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (b"RIFF and nothing", "recording cannot be read as sound"),
        (encoded(np.full(301 * 8000, 0.1), 8000), "recording is longer than 300 s"),
        (promising(1 << 35), "recording needs too much memory"),
    ],
    ids=["damaged", "long", "large"],
)
def test_a_recording_is_read_within_limits(making: Server, voices: Path, recording: bytes, words: str) -> None:
    status, error = post(making, "me", recording)
    assert (status, words in error["message"]) == (400, True), error
    assert [file.name for file in voices.iterdir()] == ["bob.pt"]


def test_an_upload_has_a_size(making: Server, tone: Server) -> None:
    assert post(tone, "me", b"x" * 1_000_001)[0] == 413
    assert post(making, "me", b"x" * 1_000_001, "/v1/audio/speech")[0] == 413
    with pytest.raises(httpx.HTTPError), httpx.Client(timeout=PATIENCE) as client:  # it is not read to its end
        client.post(f"{making.url}{VOICES}", content=iter([b"x" * 1_000_000] * 100)).raise_for_status()
    assert post(making, "../me", b"x" * 24_000_000)[0] == 400


def test_a_voice_is_listed_and_removed(making: Server, voices: Path) -> None:
    shutil.copy(voices / "bob.pt", voices / "eve.pt")
    listed = httpx.get(f"{making.url}{VOICES}", timeout=PATIENCE).json()["voices"]
    assert [voice["id"] for voice in listed] == ["default", "bob", "eve"]
    assert delete(making, "eve") == (200, "")
    assert [file.name for file in voices.iterdir()] == ["bob.pt"]
    assert delete(making, "eve")[0] == 404
    assert delete(making, "..%2Feve")[0] == 404
    status, message = delete(making, "default")
    assert (status, "a voice of Chatterbox itself" in message) == (400, True)


def test_without_the_option_nothing_is_made_or_removed(tone: Server) -> None:
    status, error = post(tone, "me", b"x")
    assert (status, "--allow-voices" in error["message"]) == (403, True)
    assert delete(tone, "sine")[0] == 403


def test_an_engine_with_its_own_voices_only_says_so() -> None:
    with serving("--allow-voices", engine="builtin") as server:
        status, error = post(server, "me", b"x")
        assert (status, "has its own voices only" in error["message"]) == (400, True)
        status, message = delete(server, "heart")
        assert (status, "has its own voices only" in message) == (400, True)
