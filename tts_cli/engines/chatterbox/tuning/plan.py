"""What an engine computes with: what the user asks for, and for the rest what was timed on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tts_cli.engines.chatterbox.options import AUTO, ChatterboxSettings
from tts_cli.engines.chatterbox.tuning.rule import Choice, choose
from tts_cli.engines.chatterbox.tuning.store import Stored, read

TAKES: Final = "it takes 20 s"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine is to compute with, before it loads."""

    stored: Stored
    """What the cache has."""
    choice: Choice | None
    """What the rule has chosen from it; None if nothing in it fits what the user asks for."""
    settings: ChatterboxSettings
    """What the user asks for."""

    @property
    def threads(self) -> int | None:
        """The user's, otherwise those of the choice; None for one for each core."""
        return self.settings.threads or (self.choice.row.way.threads if self.choice is not None else None)

    @property
    def timed(self) -> tuple[str, str] | None:
        """The device and the precision of the choice."""
        return (self.choice.row.way.device, self.choice.row.way.precision) if self.choice is not None else None

    @property
    def if_slow(self) -> str:
        """See `Engine.if_slow`: nothing where this machine was measured."""
        if self.stored.state == "measured":
            return ""
        given = {"--model": self.settings.model, "--model-dir": self.settings.model_dir}
        usual = {"--model": ChatterboxSettings().model, "--model-dir": None}
        words = [word for name, value in given.items() if value != usual[name] for word in (name, str(value))]
        return f"{TAKES} to find out what is fast enough on this machine: {shlex.join(('tts', 'tune', *words))}"

    def chosen(self, device: str, precision: str, threads: int) -> dict[str, object]:
        """Say what was left to the engine, and what it computes with; see `Engine.chosen`.

        Parameters
        ----------
        device, precision, threads
            What the engine computes with in the end.

        Returns
        -------
        dict
            Values by the names of settings and options, without those that the user has set.
        """
        found = {"device": device, "precision": precision, "threads": threads}
        left = {name: value for name, value in found.items() if name not in asked_of(self.settings)}
        return left | {"strategy": self.strategy(device), "measured": self.used_on(device)}

    def used_on(self, device: str) -> bool:
        """Whether an engine that computes on `device` in the end follows what was timed."""
        return self.choice is not None and self.choice.row.way.device == device

    def strategy(self, device: str) -> str:
        """The strategy of `auto` for an engine that computes on `device` in the end."""
        if self.choice is not None and self.used_on(device):
            return self.choice.row.way.strategy
        return usual_strategy(device)


def usual_strategy(device: str) -> str:
    """The strategy of `auto` on a device where nothing was timed."""
    return "context" if device == "cuda" else "cached"


def plan_for(settings: ChatterboxSettings, folder: Path) -> Plan:
    """The plan for an engine with these settings and the weights in `folder`.

    Where the user has chosen, only what was timed with that choice counts.
    """
    stored = read(folder)
    return Plan(stored, choose(stored.rows, **asked_of(settings)), settings)


def asked_of(settings: ChatterboxSettings) -> Mapping[str, Any]:
    """Those of `device`, `precision` and `threads` that the user asks for."""
    chosen = {name: getattr(settings, name) for name in ("device", "precision", "threads")}
    return {name: value for name, value in chosen.items() if value not in (AUTO, None)}
