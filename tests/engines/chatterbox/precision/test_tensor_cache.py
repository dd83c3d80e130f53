"""Tensors in a file: whole or not there, and nothing beside it for good."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread, current_thread

import pytest
import torch

from tts_cli.engines.chatterbox.precision.tensor_cache import store, stored

TENSORS = {"a": torch.arange(300), "b": torch.ones(7, dtype=torch.bfloat16)}


def test_it_is_known_by_its_key(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "x.safetensors"
    store(TENSORS, "one", file)
    found = stored(file, "one")
    assert found is not None
    assert torch.equal(found["a"], TENSORS["a"])
    assert stored(file, "two") is None
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("where", [0.3, 0.6, 0.9, 1.0])
def test_a_bit_that_fell_over_is_noticed(tmp_path: Path, where: float) -> None:
    file = tmp_path / "x.safetensors"
    store(TENSORS, "one", file)
    content = bytearray(file.read_bytes())
    content[round(where * (len(content) - 1))] ^= 4
    file.write_bytes(content)
    assert stored(file, "one") is None


def test_two_threads_that_keep_one_file_do_not_share_a_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has written its draft when the second does all of its work, in a process of the same number."""
    file, written, go_on = tmp_path / "x.safetensors", Event(), Event()
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if current_thread() is first:
            written.set()
            assert go_on.wait(60)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    first = Thread(target=store, args=({"a": torch.zeros(1000)}, "first", file))
    first.start()
    assert written.wait(60)
    store(TENSORS, "second", file)
    assert stored(file, "second") is not None
    go_on.set()
    first.join()
    found = stored(file, "first")
    assert found is not None, "the last one to finish is the one that stays"
    assert len(found["a"]) == 1000
    assert list(tmp_path.iterdir()) == [file]
