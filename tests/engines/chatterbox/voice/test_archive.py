"""Voices that are moved between machines, and archives that are not what they should be."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.engines.chatterbox.voice.given import voice
from tts_cli.engines import VoiceInfo
from tts_cli.engines.chatterbox.voice import archive as archives
from tts_cli.engines.chatterbox.voice.archive import export_voice, import_voice
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.errors import ModelError, TTSError, UsageError


@pytest.fixture(scope="module")
def pt(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("voice") / "anna.pt"
    voice().save(file)
    return file.read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> VoiceStore:
    return VoiceStore(tmp_path / "voices")


def packed(file: Path, parts: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def test_a_voice_arrives_as_it_was(store: VoiceStore, pt: bytes, tmp_path: Path) -> None:
    with store.reserve("anna") as draft:
        draft.pt.write_bytes(pt)
        draft.prefix.write_bytes(b"of the weights here")
        draft.describe(VoiceInfo("anna", "chatterbox", source="a\x1b.wav", duration=6.5, created="2025"))
    file = tmp_path / "anna.zip"
    export_voice(store, "anna", file)
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["anna.pt", "anna.json"]
    there = VoiceStore(tmp_path / "there")
    import_voice(file, there)
    assert there.path("anna").read_bytes() == pt
    assert there.info("anna") == VoiceInfo(
        "anna", "chatterbox", there.path("anna"), source="a\x1b.wav", duration=6.5, created="2025"
    )
    assert import_voice(file, there, "bea").name == "bea"
    with pytest.raises(UsageError, match="--force"):
        import_voice(file, there)
    import_voice(file, there, force=True)
    with pytest.raises(UsageError, match="already there"):
        export_voice(store, "anna", file)
    export_voice(store, "anna", file, force=True)


def test_a_voice_without_a_description_arrives(store: VoiceStore, pt: bytes, tmp_path: Path) -> None:
    import_voice(packed(tmp_path / "x.zip", {"eve.pt": pt, "eve.json": b"[" * 9999}), store)
    assert store.info("eve") == VoiceInfo("eve", "chatterbox", path=store.path("eve"))


class Evil:
    """Runs code where it is unpickled without care."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "names",
    [
        ["../anna.pt"],
        ["/anna.pt"],
        ["a/anna.pt"],
        ["anna.pt", "bea.json"],
        ["anna.pt", "anna.sh"],
        ["anna.json"],
        ["-x.pt"],
        ["a\x1b.pt"],
        ["default.pt"],
        ["anna.pt/"],
        [],
    ],
    ids=str,
)
def test_names_that_an_export_does_not_have_are_refused(
    store: VoiceStore, pt: bytes, tmp_path: Path, names: list[str]
) -> None:
    file = packed(tmp_path / "x.zip", dict.fromkeys(names, pt))
    with pytest.raises(UsageError):
        import_voice(file, store)
    assert not store.directory.exists() or list(store.directory.iterdir()) == []


def test_what_is_not_a_voice_is_refused_and_runs_nothing(
    store: VoiceStore, pt: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (b"", b"no voice", pt[:-100], pickle.dumps(Evil())):
        with pytest.raises(ModelError):
            import_voice(packed(tmp_path / "x.zip", {"anna.pt": content}), store)
    assert list(store.directory.iterdir()) == []
    assert not (tmp_path / "ran").exists()


def test_archives_that_are_damaged_or_not_there_are_refused(store: VoiceStore, pt: bytes, tmp_path: Path) -> None:
    file = packed(tmp_path / "x.zip", {"anna.pt": pt})
    whole = file.read_bytes()
    encrypted = bytearray(whole)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[whole.index(mark) + place] |= 1
    unusual = whole.replace(b"\x08\x00", b"\x63\x00")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for content in (b"", b"PK", whole[:-30], bytes(encrypted), unusual, bytes(damaged)):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="not an exported voice"):
            import_voice(file, store)
    for absent in (tmp_path, tmp_path / "none.zip", tmp_path / "a\0b"):
        with pytest.raises(UsageError, match="cannot read"):
            import_voice(absent, store)


def test_a_small_archive_that_becomes_large_is_refused(
    store: VoiceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(archives.LARGEST, ".pt", 100_000)
    with pytest.raises(UsageError, match="larger than 100000 bytes"):
        import_voice(packed(tmp_path / "x.zip", {"anna.pt": bytes(100_001)}), store)
    inner = packed(tmp_path / "anna.pt", {"anna/data/0": bytes(200_000)})
    with pytest.raises(UsageError, match="becomes larger than 100000 bytes"):
        import_voice(packed(tmp_path / "x.zip", {"anna.pt": inner.read_bytes()}), store)


def test_a_large_file_is_refused_before_it_is_read(store: VoiceStore, tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(UsageError, match="is larger than"):
        import_voice(file, store)


def test_a_tensor_that_claims_more_than_is_stored_is_refused(tmp_path: Path, pt: bytes) -> None:
    content = torch.load(io.BytesIO(pt), weights_only=True)
    content["gen"]["prompt_feat"] = torch.zeros(1).expand(1, 10**9, 80)
    torch.save(content, tmp_path / "huge.pt")
    with pytest.raises(ModelError, match="more numbers than are stored"):
        Conditionals.load(tmp_path / "huge.pt")


def test_errors_are_those_of_this_package(store: VoiceStore) -> None:
    for name in ("nobody", "../x"):
        with pytest.raises(TTSError):
            export_voice(store, name, Path("x.zip"))
    assert json.dumps(store.names()) == "[]"
