"""The weight cache: T3's weights in int8 or int4 in a file, so that most of the fp32 weights need not be read.

There is one file for each weights file and precision, in `TTS_CACHE_DIR` or the user's cache folder. It contains the
parts of each quantised layer, and a key that says what they were made from. If the key differs or the file is damaged,
the parts are made again and the file is replaced. If the disk is full or read-only, nothing is stored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from platformdirs import user_cache_path
from torch import Tensor

from tts_cli.engines.chatterbox.precision.quantised_layers import Parts
from tts_cli.engines.chatterbox.precision.tensor_cache import store, stored
from tts_cli.engines.chatterbox.weights.tensors import fingerprint
from tts_cli.paths import expanded

_FORMAT: Final = 2


def cache_dir() -> Path:
    """The folder for cached files: `TTS_CACHE_DIR`, or the one in the user's cache folder."""
    chosen = os.environ.get("TTS_CACHE_DIR")
    return expanded(chosen) if chosen else user_cache_path("tts", appauthor=False)


def cached_parts(weights: Path, kind: str, sizes: str, make: Callable[[], dict[str, Parts]]) -> dict[str, Parts]:
    """The parts of quantised layers, from the weight cache or newly made.

    Parameters
    ----------
    weights
        The file of fp32 weights that the layers belong to.
    kind
        `int8` or `int4`.
    sizes
        What else the parts depend on: the sizes of the network, and the voice that they were calibrated with.
    make
        Computes the parts. It is called if the cache has none that fit. Its result is stored if possible.

    Returns
    -------
    dict
        The parts by the name of their layer. From the cache they are mapped into memory.
    """
    file, key = place(weights, kind), _key(weights, kind, sizes)
    tensors = stored(file, key)
    if tensors is not None:
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            layer, _, part = name.rpartition(".")
            parts.setdefault(layer, {})[part] = tensor
        return dict(parts)
    made = make()
    tensors = {f"{layer}.{part}": tensor for layer, each in made.items() for part, tensor in each.items()}
    store(tensors, key, file)
    return made


def place(weights: Path, kind: str) -> Path:
    """The file for the parts of a weights file in a precision. It need not exist."""
    path = hashlib.sha256(str(weights.resolve()).encode()).hexdigest()[:12]
    return cache_dir() / f"{weights.stem}-{path}-{kind}.safetensors"


def _key(weights: Path, kind: str, sizes: str) -> str:
    """What the parts depend on. The layout of int4 depends on torch and the CPU."""
    layout = f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()}" if kind == "int4" else "plain"
    return f"{_FORMAT} {fingerprint(weights)} {sizes} {kind} {layout}"
