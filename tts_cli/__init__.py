"""Speak text live, while the speech is still being computed.

This is the public Python API: `load`, `speak` and `stream`, and the classes that they return and raise. Everything else
may change. Each name is imported at its first use, so importing this package takes almost no time.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:  # as `typing` defines it; importing `typing` takes longer than starting Python
    from typing import Any, Final

    from tts_cli.api import load, speak, stream
    from tts_cli.audio import AudioChunk
    from tts_cli.errors import TTSError
    from tts_cli.metrics import Snapshot
    from tts_cli.session import Session
    from tts_cli.utterance import Utterance

__version__: Final = "0.1.0"

__all__ = ["AudioChunk", "Session", "Snapshot", "TTSError", "Utterance", "__version__", "load", "speak", "stream"]

_HOMES: Final = {
    "AudioChunk": "tts_cli.audio",
    "Session": "tts_cli.session",
    "Snapshot": "tts_cli.metrics",
    "TTSError": "tts_cli.errors",
    "Utterance": "tts_cli.utterance",
    "load": "tts_cli.api",
    "speak": "tts_cli.api",
    "stream": "tts_cli.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
