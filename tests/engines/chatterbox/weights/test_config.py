"""Weights that are missing, damaged or of another size are named; nothing is initialised in vain."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.harness import ROOT
from tts_cli.engines.chatterbox import S3GenDecoder
from tts_cli.engines.chatterbox.weights.config import ModelConfig, read_config
from tts_cli.engines.chatterbox.weights.tensors import pick_device, read_tensors
from tts_cli.errors import MissingError, ModelError, UsageError

S3GEN = "s3gen_meanflow.safetensors"


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """The decoder's files, to be damaged."""
    for name in ("config.json", S3GEN):
        shutil.copy(tiny / name, tmp_path / name)
    return tmp_path


def change(file: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    edit(tensors)
    save_file(tensors, file)


def configure(folder: Path, section: str, **values: Any) -> None:
    raw = json.loads((folder / "config.json").read_text())
    raw.setdefault(section, {}).update(values)
    (folder / "config.json").write_text(json.dumps(raw))


def test_a_folder_with_the_decoder_alone_is_enough(folder: Path, decoder: S3GenDecoder, voice: dict[str, Any]) -> None:
    assert np.array_equal(S3GenDecoder.load(str(folder)).whole(voice, [1, 2]), decoder.whole(voice, [1, 2]))


def test_other_parts_of_the_file_are_left_alone(folder: Path) -> None:
    change(folder / S3GEN, lambda tensors: tensors.update({"tokenizer.whatever": torch.zeros(3)}))
    S3GenDecoder.load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "flow.input_embedding.weight",
        "flow.decoder.estimator.mid_blocks.0.1.0.attn1.to_q.weight",
        "mel2wav.conv_pre.parametrizations.weight.original0",
        "mel2wav.ups.1.parametrizations.weight.original1",
        "mel2wav.source_downs.0.bias",
    ],
)
def test_a_missing_tensor_is_named(folder: Path, name: str) -> None:
    change(folder / S3GEN, lambda tensors: tensors.pop(name))
    with pytest.raises(ModelError, match=rf"{S3GEN}: tensor {re.escape(name)} is missing, expected shape \["):
        S3GenDecoder.load(folder)


@pytest.mark.parametrize(
    "name", ["flow.encoder_proj.weight", "mel2wav.resblocks.0.convs1.0.parametrizations.weight.original1"]
)
def test_a_tensor_of_another_shape_is_named_with_both_shapes(folder: Path, name: str) -> None:
    expected = list(load_file(folder / S3GEN)[name].shape)
    change(folder / S3GEN, lambda tensors: tensors.update({name: torch.zeros(5, 3)}))
    message = rf"{S3GEN}: tensor {name} has shape [5, 3], expected {expected}"
    with pytest.raises(ModelError, match=re.escape(message)):
        S3GenDecoder.load(folder)


@pytest.mark.parametrize("size", [0, 7, 1000, -1])
def test_a_truncated_file_is_named(folder: Path, size: int) -> None:
    content = (folder / S3GEN).read_bytes()
    (folder / S3GEN).write_bytes(content[:size])
    with pytest.raises(ModelError, match=f"{S3GEN} is damaged or truncated"):
        S3GenDecoder.load(folder)


def test_a_file_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="tts model pull"):
        S3GenDecoder.load(tmp_path)


def test_half_precision_weights_are_widened(folder: Path) -> None:
    change(folder / S3GEN, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    tensors = read_tensors(folder / S3GEN, {"flow.encoder_proj.bias": (80,)})
    assert tensors["flow.encoder_proj.bias"].dtype == torch.float32


def test_sizes_are_turbos_where_nothing_else_is_said(tmp_path: Path) -> None:
    config = read_config(tmp_path)
    assert config == ModelConfig()
    assert (config.t3.n_layer, config.t3.n_embd, config.encoder.num_up_blocks) == (24, 1024, 4)


def test_nano_is_known_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "t3_nano_v1.safetensors").touch()
    config = read_config(tmp_path)
    assert config.t3_file == "t3_nano_v1.safetensors"
    assert (config.t3.n_layer, config.t3.n_embd, config.t3.n_head) == (12, 768, 12)


def test_a_config_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    configure_from = {"encoder": {"num_blocks": 2, "dropout_rate": 0.1, "input_layer": "linear"}, "other": 1}
    (tmp_path / "config.json").write_text(json.dumps(configure_from))
    config = read_config(tmp_path)
    assert config.encoder.num_blocks == 2
    assert config.encoder.output_size == 512
    assert config.vocoder == ModelConfig().vocoder


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        ("encoder", {"macaron_style": True}, "encoder.macaron_style"),
        ("encoder", {"num_blocks": "six"}, "encoder.num_blocks"),
        ("encoder", {"attention_heads": 3}, "encoder.attention_heads"),
        ("estimator", {"channels": [16, 16]}, "estimator.channels"),
        ("estimator", {"act_fn": "snake"}, "act_fn"),
        ("vocoder", {"upsample_rates": [8, 5, 2]}, "480"),
        ("vocoder", {"resblock_kernel_sizes": [3, 7]}, "resblock_dilation_sizes"),
        ("t3", {"n_layer": -1}, "t3.n_layer"),
    ],
)
def test_a_config_that_cannot_be_is_a_clear_error(
    folder: Path, section: str, values: dict[str, Any], named: str
) -> None:
    configure(folder, section, **values)
    with pytest.raises(ModelError, match=named):
        S3GenDecoder.load(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"encoder": 3}'])
def test_a_config_that_is_no_object_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_config(tmp_path)


def test_devices_and_precisions_are_checked(folder: Path) -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(UsageError, match="abacus"):
        S3GenDecoder.load(folder, device="abacus")
    with pytest.raises(UsageError, match="fp7"):
        S3GenDecoder.load(folder, precision="fp7")
    if not torch.cuda.is_available():
        with pytest.raises(MissingError, match="cuda"):
            S3GenDecoder.load(folder, device="cuda")


def test_the_package_is_light_and_speaking_needs_no_chatterbox(folder: Path) -> None:
    script = f"""
import sys
import tts_cli.engines.chatterbox as package
assert "torch" not in sys.modules
package.S3GenDecoder.load({str(folder)!r})
assert not {{"chatterbox", "transformers", "diffusers", "librosa"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
