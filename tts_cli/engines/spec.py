"""What is known of an engine before it loads: its name, its options, whether this machine has what it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tts_cli.engines.options import EngineSettings, SpeakOptions, declared
from tts_cli.segment import Segment


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """What is known about a voice without loading it; fields nobody wrote down are empty or None."""

    name: str
    engine: str
    path: Path | None = None
    """Its file; None for a voice inside an engine's own model."""
    source: str = ""
    """File name of the recording."""
    sha256: str = ""
    """Of the recording, in hex."""
    duration: float | None = None
    """Seconds of the recording."""
    created: str = ""
    """When it was cached: ISO 8601, UTC."""
    model: str = ""
    """Fingerprint of the model that made it."""


def _nothing_needed(settings: EngineSettings) -> None:
    del settings


def _no_voices(settings: EngineSettings) -> Sequence[VoiceInfo]:
    del settings
    return ()


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine as the registry knows it. Making one must load nothing heavy: `tts --help` reads them all.

    Parameters
    ----------
    name
        What `--engine` calls it.
    title
        What a sentence calls it, such as "the built-in voice".
    summary
        One sentence for `tts engines`.
    factory
        Import string `module:Class`. The class is called with an instance of `settings` and gives an `Engine`.
    settings, options
        The dataclasses in which the engine declares what it takes; see `options`.
    without
        Options that every engine has, and this one has not.
    sample_rate
        Samples a second, so that a device can be opened while the engine loads.
    check_available
        Raises `MissingError` where this machine lacks something that the engine needs.
    voices
        The voices that the engine could speak with, found without loading it.
    own_voices
        Names of the voices that come with the engine. No cached voice may take one of them.
    strategies
        Names of the ways to decode a chunk that `tts bench --strategy all` compares.
    tags
        Words in square brackets that the engine acts out, such as `laugh`. Other engines leave them out.
    together
        Whether the sentences of a segment may be spoken at once; None where each is spoken alone. A single
        sentence that may not is spoken in parts.
    baselines
        Import string of a function `(settings, names)`. It gives a context manager that holds other engines, by name,
        for `tts bench --compare NAMES`. Empty where there are none.
    """

    name: str
    title: str
    summary: str
    factory: str
    settings: type[EngineSettings] = EngineSettings
    options: type[SpeakOptions] = SpeakOptions
    without: frozenset[str] = frozenset()
    sample_rate: int = 24_000
    check_available: Callable[[EngineSettings], None] = _nothing_needed
    voices: Callable[[EngineSettings], Sequence[VoiceInfo]] = _no_voices
    own_voices: Sequence[str] = ()
    strategies: Sequence[str] = ()
    tags: Sequence[str] = ()
    together: Callable[[Segment], bool] | None = None
    baselines: str = ""

    def has(self, option: str) -> bool:
        """Whether the engine has an option of that name, as a setting or for an utterance."""
        return option not in self.without and (option in declared(self.settings) or option in declared(self.options))
