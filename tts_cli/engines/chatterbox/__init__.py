"""Chatterbox Turbo: text → speech tokens (T3) → mel frames (flow) → samples (vocoder), each stage streamed.

Importing this package loads nothing heavy; its names arrive, with torch behind them, when they are asked for.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

# OpenMP's threads, which torch computes with, wait for each other by spinning, and on a busy machine that keeps the one
# they wait for from running: seen to cost eight times the wall time. Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from tts_cli.engines.chatterbox.decoder import S3GenDecoder, S3GenStream

__all__ = ["S3GenDecoder", "S3GenStream"]

_HOMES: Final = {
    "S3GenDecoder": "tts_cli.engines.chatterbox.decoder",
    "S3GenStream": "tts_cli.engines.chatterbox.decoder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
