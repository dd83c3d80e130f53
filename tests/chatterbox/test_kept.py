"""Tensors in a file: whole or not there, and nothing beside it for good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from tts_cli.engines.chatterbox.kept import keep, kept

TENSORS = {"a": torch.arange(3)}


def test_it_is_known_by_its_key(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "x.safetensors"
    keep(TENSORS, "one", file)
    found = kept(file, "one")
    assert found is not None
    assert torch.equal(found["a"], TENSORS["a"])
    assert kept(file, "two") is None
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {pid: f".{file.name}.{pid}" for pid in (ended.pid, os.getppid(), "notes")}
    for name in names.values():
        (tmp_path / name).write_bytes(b"half")
    keep(TENSORS, "one", file)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {file.name, names[os.getppid()], names["notes"]}
