"""Tensors that are mapped from a file: they are what the file has, and their memory goes with them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load, save

from tests.engines.chatterbox.memory import mapped_bytes
from tts_cli.engines.chatterbox.weights.mapping import MappedTensors
from tts_cli.engines.chatterbox.weights.tensors import read_tensors
from tts_cli.errors import ModelError

KINDS = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
]
SIZE = 4_000_000


@given(
    st.dictionaries(
        st.text().filter("__metadata__".__ne__),
        st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 5), max_size=3)),
        min_size=1,
    ),
    st.dictionaries(st.text(), st.text()),
)
def test_they_are_those_that_safetensors_reads(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, tuple[torch.dtype, list[int]]], about: dict[str, str]
) -> None:
    tensors = {name: torch.randint(0, 2, shape).to(kind) for name, (kind, shape) in shapes.items()}
    file = tmp_path_factory.mktemp("x") / "x.safetensors"
    file.write_bytes(save(tensors, about))
    mapped = MappedTensors(file)
    assert mapped.metadata == about
    assert mapped.keys() == tensors.keys()
    for name, expected in load(file.read_bytes()).items():
        assert mapped[name].dtype == expected.dtype
        assert torch.equal(mapped[name], expected)


def test_a_type_that_is_not_known_makes_a_file_of_weights_unusable(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(save({"a": torch.ones(3).to(torch.float8_e4m3fn)}))
    with pytest.raises(SafetensorError, match="F8_E4M3"):
        MappedTensors(file)["a"]
    with pytest.raises(ModelError, match=f"{re.escape(str(file))} is damaged"):
        read_tensors(file, {"a": (3,)})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, memory is released with the last tensor")
def test_the_memory_of_a_tensor_is_released_with_it(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(save({name: torch.full((SIZE,), index, dtype=torch.int8) for index, name in enumerate("abc")}))
    before = len(list(Path("/proc/self/fd").iterdir()))
    tensors = dict(MappedTensors(file))
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "the file is closed"
    assert sum(int(each.sum()) for each in tensors.values()) == 3 * SIZE
    assert mapped_bytes(file) > 2.1 * SIZE
    view = tensors.pop("c")[5:7]
    del tensors["a"]
    assert mapped_bytes(file) < 2.1 * SIZE
    assert view.tolist() == [2, 2], "a view holds its tensor"
    assert tensors["b"].eq(1).all(), "the others are as they were"
    del view
    assert mapped_bytes(file) < 1.1 * SIZE
    tensors.clear()
    assert str(file) not in Path("/proc/self/maps").read_text(), "nothing is mapped any more"
