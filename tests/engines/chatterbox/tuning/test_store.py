"""Measurements in the user's cache: valid for one machine, versions and weights, and never in the way."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_cli.engines.chatterbox.tuning import identity
from tts_cli.engines.chatterbox.tuning.rule import Row, Way
from tts_cli.engines.chatterbox.tuning.store import fields, read, write
from tts_cli.errors import OutputError

ROWS = [
    Row(Way("cpu", "fp32", "context", 2), 1.9, True, 0.09, None, 0.15),
    Row(Way("cpu", "fp32", "cached", 2), 1.2, False, 0.09, 0.25, 0.15, 0.9),
]


@pytest.fixture
def folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights that a test may change, and an empty cache."""
    monkeypatch.setenv("TTS_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(tiny, tmp_path / "weights")
    return tmp_path / "weights"


def test_what_is_written_is_read(folder: Path) -> None:
    assert read(folder).state == "missing"
    file = write(ROWS, folder)
    found = read(folder)
    assert (found.state, found.file, list(found.rows), found.notice) == ("measured", file, ROWS, "")
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("changed", ["cpu", "cores", "devices"])
def test_another_machine_has_a_file_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    first = write(ROWS, folder)
    with monkeypatch.context() as patch:
        if changed == "cpu":
            patch.setattr(identity, "cpu_name", lambda: "another")
        elif changed == "cores":
            patch.setattr(identity, "cores", lambda: 64)
        else:
            patch.setattr("torch.backends.mps.is_available", lambda: True)
        assert read(folder).state == "missing"
        assert write(ROWS[1:], folder) != first
        assert len(read(folder).rows) == 1
    assert list(read(folder).rows) == ROWS


@pytest.mark.parametrize("package", ["tts-cli", "torch"])
def test_another_version_makes_it_stale(folder: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    file = write(ROWS, folder)
    monkeypatch.setattr(identity, "_version", lambda name: "0" if name == package else "1")
    stale = read(folder)
    assert (stale.state, stale.rows, stale.notice) == ("stale", (), "")
    assert write(ROWS, folder) == file
    assert read(folder).state == "measured"


@pytest.mark.parametrize("name", ["t3_turbo_v1.safetensors", "s3gen_meanflow.safetensors"])
def test_other_weights_make_it_stale(folder: Path, name: str) -> None:
    write(ROWS, folder)
    content = bytearray((folder / name).read_bytes())
    content[100] ^= 1
    (folder / name).write_bytes(content)
    assert read(folder).state == "stale"


def test_weights_in_another_folder_have_a_file_of_their_own(folder: Path, tmp_path: Path) -> None:
    write(ROWS, folder)
    shutil.copytree(folder, tmp_path / "others")
    assert read(tmp_path / "others").state == "missing"
    (tmp_path / "link").symlink_to(folder)
    assert read(tmp_path / "link").state == "measured"


DAMAGE: dict[str, Any] = {
    "device": "tpu",
    "precision": "fp8",
    "strategy": "fast",
    "threads": 0,
    "rtf": -1,
    "least": "no",
    "token": float("nan"),
    "flow": "1",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_value_that_cannot_be_is_damage(folder: Path, name: str) -> None:
    file = write(ROWS, folder)
    content = json.loads(file.read_text())
    content["rows"][1][name] = DAMAGE[name]
    file.write_text(json.dumps(content))
    damaged = read(folder)
    assert (damaged.state, damaged.rows) == ("damaged", ())
    assert str(file) in damaged.notice
    assert damaged.notice.endswith("measure again with: tts tune")


@pytest.mark.parametrize(
    ("device", "precision"), [("cuda", "fp32"), ("mps", "fp32"), ("cuda", "int8")], ids=lambda value: value
)
def test_a_device_that_is_not_here_is_damage(folder: Path, device: str, precision: str) -> None:
    file = write(ROWS, folder)
    content = json.loads(file.read_text())
    content["rows"][0] |= {"device": device, "precision": precision}
    file.write_text(json.dumps(content))
    assert read(folder).state == "damaged"


@settings(max_examples=30)
@given(st.data())
def test_no_content_of_the_file_raises(folder: Path, data: st.DataObject) -> None:
    file = write(ROWS, folder)
    whole = file.read_bytes()
    json_value = st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    kind = data.draw(st.sampled_from(["bytes", "cut", "json", "field", "row"]))
    content = json.loads(whole)
    if kind == "bytes":
        changed = data.draw(st.binary(max_size=50))
    elif kind == "cut":
        changed = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        value = data.draw(json_value)
        if kind == "field":
            content[data.draw(st.sampled_from(sorted(content)))] = value
        elif kind == "row":
            content["rows"][0][data.draw(st.sampled_from(sorted(content["rows"][0])))] = value
        else:
            content = value
        changed = json.dumps(content).encode()
    file.write_bytes(changed)
    found = read(folder)
    assert found.state in ("measured", "stale", "damaged")
    assert (found.state == "measured") or not found.rows


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'"' + b"x" * 2_000_000 + b'"', b"\xff\xfe", b""],
    ids=["deep", "large", "bytes", "empty"],
)
def test_a_file_of_something_else_is_damage(folder: Path, content: bytes) -> None:
    write(ROWS, folder).write_bytes(content)
    assert read(folder).state == "damaged"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_passed_by_and_not_replaced(folder: Path, make: Any) -> None:
    file = write(ROWS, folder)
    file.unlink()
    make(file)
    assert read(folder).state == "missing"
    with pytest.raises(OutputError, match="cannot keep the measurements in"):
        write(ROWS, folder)
    assert file.exists()


def test_a_cache_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot keep the measurements in .*; let TTS_CACHE_DIR name a folder"):
        write(ROWS, folder)
    assert read(folder).state == "missing"
    assert (tmp_path / "cache").read_text() == "a file"


def test_readers_see_whole_files_while_several_write(folder: Path) -> None:
    variants = [[Row(Way("cpu", "fp32", "cached", threads), 1.0)] * threads for threads in (1, 2, 3)]
    file = write(variants[0], folder)

    def again(variant: list[Row]) -> None:
        for _ in range(20):
            write(variant, folder)

    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(again, variant) for variant in variants]
        while not all(each.done() for each in writing):
            found = read(folder)
            assert found.state == "measured"
            assert list(found.rows) in variants
    for each in writing:
        each.result()
    assert [each.name for each in file.parent.iterdir()] == [file.name], "no draft is left"


def test_a_row_as_json_has_every_value() -> None:
    assert fields(ROWS[1]) == {
        "device": "cpu",
        "precision": "fp32",
        "strategy": "cached",
        "threads": 2,
        "rtf": 1.2,
        "least": False,
        "token": 0.09,
        "flow": 0.25,
        "vocoder": 0.15,
        "large": 0.9,
    }
