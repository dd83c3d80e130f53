"""The voices that an engine has loaded. Each is loaded once, also if several utterances ask for it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tts_cli.engines.chatterbox.s3gen.cached import VoicePast
from tts_cli.engines.chatterbox.t3.network import T3Prefix
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals
from tts_cli.engines.chatterbox.voice.store import VoiceStore

MOST: Final = 8
"""How many voices stay loaded. Each has 75 MB for T3 and 115 or 230 MB for the flow, which may be mapped from files."""


@dataclass(slots=True)
class Voice:
    """A voice that is loaded.

    Parameters
    ----------
    conditionals
        What the networks know of it.
    prefix
        Its prefix, for T3.
    compute_past
        Reads or computes its past, for the flow.
    """

    conditionals: Conditionals
    prefix: T3Prefix
    compute_past: Callable[[], VoicePast]
    _past: VoicePast | None = None
    _computing: threading.Lock = field(default_factory=threading.Lock)

    def past(self) -> VoicePast:
        """The past of the voice. It is read or computed by the first call."""
        with self._computing:
            if self._past is None:
                self._past = self.compute_past()
            return self._past


class LoadedVoices:
    """Loads voices, and holds the `MOST` that were used last. A voice whose file has changed is loaded again.

    Parameters
    ----------
    store
        Finds the files of voices.
    load
        Loads a voice, given its name and its file.
    """

    def __init__(self, store: VoiceStore, load: Callable[[str, Path], Voice]) -> None:
        self._store = store
        self._load = load
        self._loaded: dict[Path, tuple[int, Voice]] = {}
        self._loading = threading.Lock()

    def get(self, name: str) -> Voice:
        """The voice called `name`. Raises `UsageError` if there is none, and what `load` raises."""
        with self._loading:
            path = self._store.path(name)
            version = path.stat().st_mtime_ns
            known = self._loaded.pop(path, None)
            if known is None or known[0] != version:
                known = version, self._load(name, path)
            self._loaded[path] = known  # as the one used last
            for oldest in list(self._loaded)[:-MOST]:
                del self._loaded[oldest]
            return known[1]

    def clear(self) -> None:
        """Release all voices."""
        with self._loading:
            self._loaded.clear()
