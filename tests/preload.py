"""What the process imports that `tests.warm` forks the others from.

Not in it: sounddevice and huggingface_hub, which read the environment when they are imported, and onnxruntime, which
starts a thread.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tests.harness import read_dictionaries_once

IMPORTED = (
    *("tests.program", "tts_cli.cli", "tts_cli.session", "tts_cli.engines.chatterbox.engine", "hibari.g2p"),
    *("soundfile", "pydantic.type_adapter", "rich.live", "rich.progress", "rich.table", "sympy"),
)
PATH = sys.path[1:]
"""Without the first, which is the folder that a program is started in."""

for module in IMPORTED:
    with suppress(ImportError):  # of what is not installed
        import_module(module)

with suppress(ImportError):
    read_dictionaries_once()
    import_module("hibari.g2p").G2P()  # reads them

threads = Path("/proc/self/task")
assert not threads.exists() or len(list(threads.iterdir())) == 1, "a forked process would lack the threads of this one"
gc.collect()
gc.freeze()  # or a collection in each forked process would copy all of it
