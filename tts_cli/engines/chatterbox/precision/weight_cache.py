"""T3's weights in 8 or 4 bits, kept in the user's cache, so that the gigabyte they come from stays unread.

One file for each weights file and precision, in `TTS_CACHE_DIR` or the user's cache folder. It holds the
parts of each leaf (`leaves`) and says what it was made of: a copy of other weights, of another version of
this format or of torch, or one that is damaged, is made again and overwritten. A disk that is full or
read-only costs the time to make it again, and nothing else.
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
from tts_cli.engines.chatterbox.precision.tensor_cache import keep, kept
from tts_cli.engines.chatterbox.weights.tensors import fingerprint
from tts_cli.paths import expanded

_FORMAT: Final = 2


def cache_dir() -> Path:
    """`TTS_CACHE_DIR`, else the user's folder for what can be made again."""
    chosen = os.environ.get("TTS_CACHE_DIR")
    return expanded(chosen) if chosen else user_cache_path("tts", appauthor=False)


def lowered(weights: Path, kind: str, sizes: str, make: Callable[[], dict[str, Parts]]) -> dict[str, Parts]:
    """Parts of leaves of this `kind`, by name: those kept of the file `weights`, mapped, or what `make` makes.

    What was made is kept, if the disk allows. `sizes` is what else the parts depend on: the network's, and
    the voice that they were calibrated with.
    """
    file, key = place(weights, kind), _key(weights, kind, sizes)
    tensors = kept(file, key)
    if tensors is not None:
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            leaf, _, part = name.rpartition(".")
            parts.setdefault(leaf, {})[part] = tensor
        return dict(parts)
    made = make()
    tensors = {f"{leaf}.{part}": tensor for leaf, each in made.items() for part, tensor in each.items()}
    keep(tensors, key, file)
    return made


def place(weights: Path, kind: str) -> Path:
    """Where the copy of this weights file lies, or would: there is one of each kind, which newer ones replace."""
    path = hashlib.sha256(str(weights.resolve()).encode()).hexdigest()[:12]
    return cache_dir() / f"{weights.stem}-{path}-{kind}.safetensors"


def _key(weights: Path, kind: str, sizes: str) -> str:
    """What a copy depends on. The layout of int4 is torch's own, for this kind of CPU."""
    layout = f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()}" if kind == "int4" else "plain"
    return f"{_FORMAT} {fingerprint(weights)} {sizes} {kind} {layout}"
