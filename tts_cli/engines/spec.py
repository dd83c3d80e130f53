"""What is known of an engine before it loads: its name, its options, and whether it can speak on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tts_cli.engines.options import EngineSettings, SpeakOptions, declared
from tts_cli.finding import Finding
from tts_cli.segment import Segment


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """What is known about a voice without loading it. Unknown fields are empty or None."""

    name: str
    engine: str
    path: Path | None = None
    """Its file; None if the voice is a part of the engine's model."""
    source: str = ""
    """The file name of its recording."""
    sha256: str = ""
    """The SHA-256 of the recording, in hexadecimal."""
    duration: float | None = None
    """The length of the recording, in seconds."""
    created: str = ""
    """When the voice was made: ISO 8601, UTC."""
    model: str = ""
    """A fingerprint of the model that made the voice."""


class VoiceMaker(Protocol):
    """Makes voices of recordings that others have sent, and removes voices."""

    def check_free(self, name: str) -> None:
        """Check that a voice of that name can be made.

        Raises
        ------
        UsageError
            If the name is invalid or taken.
        MissingError
            If this machine lacks something that making voices needs.
        """
        ...

    def command(self, file: Path, name: str, source: str) -> list[str]:
        """The command that makes a voice, in a process of its own, which limits what the recording may cost.

        The process ends with an exit code of `tts_cli.errors`, and with a line on standard output if it has failed. It
        stores the whole voice or nothing, and replaces no voice.

        Parameters
        ----------
        file
            The recording.
        name
            The name of the voice.
        source
            What its sender calls the recording. No file of that name is opened.

        Returns
        -------
        list of str
            The program and its arguments.
        """
        ...

    def remove(self, name: str) -> None:
        """Delete a voice. Raises `UsageError` if there is none, or it comes with the engine."""
        ...


def _nothing_needed(settings: EngineSettings) -> None:
    del settings


def _no_voices(settings: EngineSettings) -> Sequence[VoiceInfo]:
    del settings
    return ()


def _no_findings(settings: EngineSettings, thorough: bool) -> Iterable[Finding]:
    del settings, thorough
    return ()


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine as the registry knows it. Making one must not load heavy modules, because `tts --help` reads all.

    Parameters
    ----------
    name
        What `--engine` calls it.
    title
        What messages call it, such as "the built-in voice".
    summary
        One sentence for `tts engines`.
    factory
        Import string `module:Class`. Calling the class with an instance of `settings` returns an `Engine`.
    sample_rate
        Samples a second, so that a device can be opened while the engine loads.
    settings, options
        The dataclasses that declare its options; see `tts_cli.engines.options`.
    without
        Names of common options that this engine does not have.
    check_available
        Raises `MissingError` if this machine lacks something that the engine needs.
    voices
        Returns the voices that the engine could speak with, without loading it.
    own_voices
        Names of the voices that come with the engine. A cached voice cannot have one of these names.
    strategies
        Names of the strategies that `tts bench --strategy all` compares.
    tags
        Words in square brackets that the engine knows, such as `laugh`. Other engines leave them out.
    together
        Whether the sentences of a segment may be spoken at once; None if each is spoken alone. A single sentence for
        which it returns False is spoken in parts.
    findings
        Checks what the engine needs, for `tts doctor`, which puts the engine's name before the topic of each finding.
        The second argument says whether checks may take minutes. It is called only where `check_available` raises
        nothing.
    baselines
        Import string of a function `(settings, names)`. It returns a context manager with other engines, by name, for
        `tts bench --compare NAMES`. Empty if there are none.
    voice_maker
        Import string of a function that returns a `VoiceMaker`, given an instance of `settings`. Empty if the engine
        has its own voices only.

    Examples
    --------
    >>> EngineSpec("chirp", "Chirp", "Chirps.", "chirp.tts:Chirp", 24_000).has("seed")
    True
    """

    name: str
    title: str
    summary: str
    factory: str
    sample_rate: int
    settings: type[EngineSettings] = EngineSettings
    options: type[SpeakOptions] = SpeakOptions
    without: frozenset[str] = frozenset()
    check_available: Callable[[EngineSettings], None] = _nothing_needed
    voices: Callable[[EngineSettings], Sequence[VoiceInfo]] = _no_voices
    own_voices: Sequence[str] = ()
    strategies: Sequence[str] = ()
    tags: Sequence[str] = ()
    together: Callable[[Segment], bool] | None = None
    findings: Callable[[EngineSettings, bool], Iterable[Finding]] = _no_findings
    baselines: str = ""
    voice_maker: str = ""

    def has(self, option: str) -> bool:
        """Whether the engine has a setting or an option of that name."""
        return option not in self.without and (option in declared(self.settings) or option in declared(self.options))
