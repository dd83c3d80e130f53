"""What every case needs: an engine, loaded once, and a folder of its own; and what a case is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from fuzzing import inputs
from tts_cli import Session, load
from tts_cli.engines.registry import find

CHARACTERS: Final = {"builtin": 200, "chatterbox": 60}
"""The longest text of most cases: tiny Chatterbox speaks ten times faster than it sounds, the built-in voice fifty."""


@dataclass(frozen=True)
class Plan:
    """One case: the text that is spoken, or the bytes or pieces that are read, and whatever else was drawn for it."""

    kind: str
    text: Any = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """A case without a fault. `refused` is the error or exit code with which it ended."""

    seconds: float = 0.0
    refused: str = ""


class Bench:
    """An engine that is loaded once, and a folder of its own for each case.

    Parameters
    ----------
    name
        The name of the engine.
    folder
        It is emptied for each case.
    checkpoint
        The weights of Chatterbox; None for the built-in voice.
    """

    def __init__(self, name: str, folder: Path, checkpoint: Path | None) -> None:
        self.name = name
        self.folder = folder
        self.checkpoint = checkpoint
        self.voices = folder / "voices"

    @cached_property
    def session(self) -> Session:
        """Without watermark. Cases that load an engine of their own have it."""
        if self.name == "builtin":
            return load(self.name)
        return load(self.name, voices_dir=self.voices, model_dir=self.checkpoint, watermark=False)

    def clear(self) -> None:
        """Make the folder anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.voices.mkdir(parents=True)
        _ = self.session  # so that what it opens once is not counted for a case

    def longest(self, rng: Random) -> int:
        """The longest text of a case, in characters.

        Parameters
        ----------
        rng
            What everything random is drawn from.
        """
        return CHARACTERS[self.name] * (8 if rng.random() < 0.02 else 1)


class Kind(NamedTuple):
    """One kind of case: how often it is drawn, how it is planned, and how it is carried out."""

    weight: int
    plan: Callable[[Random, Bench], Plan]
    run: Callable[[Plan, Bench], Done]


def speak_options(rng: Random, bench: Bench) -> dict[str, Any]:
    """Options of the engine with random valid values.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    bench
        Has the engine.
    """
    options: dict[str, Any] = {
        "chunk": rng.choice((None, 1, 7, 10, 25, rng.randint(1, 1000))),
        "mode": rng.choice(("streaming", "streaming", "streaming", "simple")),
        "seed": rng.choice((0, 1, rng.randrange(2**32), rng.randrange(2**63))),
        "pause": inputs.number(rng, 0, 1, whole=False),
        "speed": inputs.number(rng, 0.5, 2, whole=False),
        "volume": inputs.number(rng, -60, 30, whole=False),
        "normalize": rng.random() < 0.5,
        "temperature": inputs.number(rng, 0, 10, whole=False),
        "top_k": inputs.number(rng, 0, 7000, whole=True),
        "top_p": inputs.number(rng, 0.01, 1, whole=False),
        "repetition_penalty": inputs.number(rng, 0.1, 10, whole=False),
        "guard": rng.random() < 0.98,
        "tokens": rng.choice((None, 1, rng.randint(1, 60))),
        "strategy": rng.choice(("auto", "independent", "overlap", "context", "cached")),
        "parallel": rng.random() < 0.7,
    }
    spec = find(bench.name)
    return {name: value for name, value in options.items() if rng.random() < 0.4 and spec.has(name)}
