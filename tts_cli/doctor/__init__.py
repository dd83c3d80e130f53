"""Checks whether `tts speak` can work on this machine, and says what to do where it cannot.

`findings` runs all checks. Each is a small function: those of Python and the machine are in `machine`, those of audio
in `sound`. `voices` asks the engines, and `residents` looks for engines that are kept. Modules outside use the names in
`__all__`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tts_cli.doctor import machine, residents, sound, voices
from tts_cli.engines import EngineSpec
from tts_cli.engines.registry import choose, engines
from tts_cli.errors import TTSError
from tts_cli.finding import Finding

__all__ = ["findings"]


def findings(
    engine: str,
    given: Mapping[str, object],
    preset: Callable[[EngineSpec], Mapping[str, object]],
    device: str | None,
    tone: bool,
    thorough: bool,
) -> Iterator[Finding]:
    """Run all checks, each when its finding is asked for.

    Parameters
    ----------
    engine
        The engine that is to speak, as for `registry.choose`.
    given
        Settings of engines, by name.
    preset
        As for `registry.choose`.
    device
        The audio output that is to play; None for the system's default.
    tone
        Whether to play a tone.
    thorough
        Whether checks may take minutes.

    Yields
    ------
    Finding
        In the order in which `tts doctor` prints them.
    """
    yield from machine.findings()
    yield from sound.findings(device, tone, _rate(engine, given, preset))
    yield from voices.findings(engine, given, preset, thorough)
    yield from residents.findings()


def _rate(engine: str, given: Mapping[str, object], preset: Callable[[EngineSpec], Mapping[str, object]]) -> int:
    """Samples a second of the engine that would speak; of any engine, if none can."""
    try:
        return choose(engine, None, given, preset)[0].sample_rate
    except TTSError:
        return next(iter(engines().values())).sample_rate
