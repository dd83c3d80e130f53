"""Lists the engines, chooses one, and loads it.

`OURS` names the engines of this package. Other packages name theirs in the entry point group `tts_cli.engines`:

    [project.entry-points."tts_cli.engines"]
    chirp = "chirp.tts:ENGINE"
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, cast

from tts_cli.engines import Engine
from tts_cli.engines.options import EngineSettings, SpeakOptions, declared, make
from tts_cli.engines.spec import EngineSpec, VoiceMaker
from tts_cli.errors import MissingError, UsageError

OURS: Final = ("tts_cli.engines.chatterbox:ENGINE", "tts_cli.engines.builtin:ENGINE", "tts_cli.engines.remote:ENGINE")
"""In the order in which `auto` tries them."""
GROUP: Final = "tts_cli.engines"
AUTO: Final = "auto"
_FROZEN: Final = gc.get_freeze_count()
"""How many objects Python's start has frozen: hundreds in Python 3.12, none in others."""


@cache
def engines() -> Mapping[str, EngineSpec]:
    """All engines by name: those of this package first, then those of other packages that could be imported."""
    found = {spec.name: spec for spec in map(_imported, OURS)}
    for point in entry_points(group=GROUP):
        if isinstance(spec := _loaded(point), EngineSpec):
            found.setdefault(spec.name, spec)
    return found


def broken() -> Mapping[str, str]:
    """The names of entry points that cannot be used, with the reason."""
    return {point.name: spec for point in entry_points(group=GROUP) if isinstance(spec := _loaded(point), str)}


def _loaded(point: Any) -> EngineSpec | str:
    try:
        spec = point.load()
    except Exception as error:  # noqa: BLE001  another package's code may raise anything
        return f"{type(error).__name__}: {error}"
    return spec if isinstance(spec, EngineSpec) else f"{point.value} is no EngineSpec"


def find(name: str) -> EngineSpec:
    """Find an engine.

    Parameters
    ----------
    name
        Its name, or an import string `module:Class` of an engine class or an `EngineSpec`.

    Raises
    ------
    UsageError
        If there is no such engine, or it cannot be imported.

    Examples
    --------
    >>> find("builtin").title
    'the built-in voice'
    """
    if name in engines():
        return engines()[name]
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise UsageError(f"there is no engine called {name!r}", f"choose one of: {', '.join((AUTO, *engines()))}")
    try:
        found = _imported(name)
    except Exception as error:  # the module may raise anything
        raise UsageError(f"the engine {name!r} cannot be imported ({error})", "check its module and class") from error
    if isinstance(found, EngineSpec):
        return found
    if not (
        isinstance(found, type) and all(hasattr(found, name) for name in ("stream", "voices", "close", "sample_rate"))
    ):
        raise UsageError(f"{name!r} is neither an engine class nor an EngineSpec", "check its module and class")
    spec = EngineSpec(name, name, "", name, getattr(found, "sample_rate"))  # noqa: B009
    given = {key: getattr(found, key) for key in ("settings", "options") if hasattr(found, key)}
    return replace(spec, **given)


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def choose(
    name: str,
    voice: str | None,
    given: Mapping[str, object],
    preset: Callable[[EngineSpec], Mapping[str, object]] = lambda _: {},
) -> tuple[EngineSpec, str]:
    """Choose an engine.

    Parameters
    ----------
    name
        As for `find`, or `auto`: the first engine that has the voice and all given options and can speak on this
        machine.
    voice
        The voice that is asked for, or None.
    given
        Settings and options that are asked for, by name.
    preset
        Other values than an engine's own defaults. They take no part in which engines fit.

    Returns
    -------
    spec : EngineSpec
        The engine.
    notice : str
        What to tell the user about the choice; usually empty.

    Raises
    ------
    UsageError
        If the engine is unknown, or does not have an option.
    MissingError
        If only engines that cannot speak on this machine have the voice or the options.
    """
    if name != AUTO:
        spec = find(name)
        check_has(spec, given)
        return spec, ""
    lacking: tuple[EngineSpec, MissingError] | None = None
    fitting = [spec for spec in engines().values() if all(map(spec.has, given))]
    if not fitting:
        check_has(find("builtin"), given)
    for spec in fitting:
        settings, _ = split(spec, {**preset(spec), **given})
        if voice is not None and any(voice == info.name for info in spec.voices(settings)):
            return spec, ""
    for spec in fitting:
        settings, _ = split(spec, {**preset(spec), **given})
        try:
            spec.check_available(settings)
        except MissingError as error:
            if voice is not None:
                raise
            lacking = lacking or (spec, error)
            continue
        if lacking is None:
            return spec, ""
        preferred, why = lacking
        return spec, f"speaking with {spec.title}; for {preferred.title}, {why.remedy}"
    assert lacking is not None
    raise lacking[1]


def check_has(spec: EngineSpec, given: Mapping[str, object]) -> None:
    """Raise `UsageError` if the engine does not have a given option. The message names engines that have it."""
    for option in given:
        if spec.has(option):
            continue
        others = [other.name for other in engines().values() if other.has(option)]
        shown = f"--{option.replace('_', '-')}"
        if others:
            remedy = f"leave it out, or choose --engine {' or '.join(others)}"
        else:
            remedy = "leave it out: no engine here has it"
        raise UsageError(f"the engine {spec.name} has no option {shown}", remedy)


def split(spec: EngineSpec, given: Mapping[str, object]) -> tuple[EngineSettings, SpeakOptions]:
    """The engine's settings and its options, made from the values `given` by name; all others have their defaults."""
    settings = {name: value for name, value in given.items() if name in declared(spec.settings)}
    options = {name: value for name, value in given.items() if name in declared(spec.options)}
    return make(spec.settings, settings), make(spec.options, options)


def load_engine(spec: EngineSpec, settings: EngineSettings) -> Engine:
    """Import an engine and load it.

    Raises
    ------
    MissingError
        If this machine lacks something that the engine needs.
    TTSError
        What else the engine raises.
    """
    spec.check_available(settings)
    with _uncollected():
        return cast(Engine, _imported(spec.factory)(settings))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Turn garbage collection off in the `with` block. Loading makes hundreds of thousands of objects that stay.

    Afterwards they count as old. As young objects they would be searched several times while speech is computed, and
    each time all threads would stop for a tenth of a second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on and gc.get_freeze_count() <= _FROZEN:
            gc.freeze()
            gc.unfreeze()  # gives all objects to the oldest generation
        if was_on:
            gc.enable()


def foreign_tags(spec: EngineSpec) -> frozenset[str]:
    """The tags that other engines know and this one does not."""
    return frozenset(tag for other in engines().values() for tag in other.tags) - frozenset(spec.tags)


def baselines(spec: EngineSpec, settings: EngineSettings, names: str) -> AbstractContextManager[Mapping[str, Engine]]:
    """Open the engines that `tts bench --compare` compares an engine with.

    Parameters
    ----------
    spec
        The engine that is compared.
    settings
        Its settings.
    names
        Names of baselines, with commas between them.

    Returns
    -------
    context manager
        It gives the baselines by name, and ends them.

    Raises
    ------
    UsageError
        If the engine has no baselines.
    MissingError
        If this machine lacks something that the engine needs.
    """
    if not spec.baselines:
        raise UsageError(f"there is nothing to compare the {spec.name} engine with", "leave out --compare")
    spec.check_available(settings)
    return cast("AbstractContextManager[Mapping[str, Engine]]", _imported(spec.baselines)(settings, names))


def voice_maker(spec: EngineSpec, settings: EngineSettings) -> VoiceMaker:
    """What makes and removes voices of an engine. Raises `UsageError` if the engine has its own voices only."""
    if not spec.voice_maker:
        raise UsageError(f"{spec.title} has its own voices only", "serve an engine whose voices can be made")
    return cast(VoiceMaker, _imported(spec.voice_maker)(settings))


def check_not_own(name: str, remedy: str) -> None:
    """Raise `UsageError` if a voice that comes with an engine has that name."""
    for spec in engines().values():
        if name.casefold() in spec.own_voices:  # macOS takes Default.pt for default.pt
            raise UsageError(f"{name!r} is a voice of {spec.title} itself", remedy)
