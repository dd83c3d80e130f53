"""Makes options of a command from the options that engines declare."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from tts_cli.checks import read_whole
from tts_cli.cli import defaults
from tts_cli.cli.settings import Settings, checked, options_of
from tts_cli.config import Config, read
from tts_cli.engines.options import Declared, EngineSettings, SpeakOptions, declared
from tts_cli.engines.registry import engines
from tts_cli.errors import UsageError
from tts_cli.paths import expanded

_SET_BY_USER: Final = ("COMMANDLINE", "ENVIRONMENT", "PROMPT")


def with_engine_options(
    *, measuring: bool = False, leaving_out: tuple[str, ...] = (), configured: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command with all options that engines declare.

    The command must have a parameter `given: dict[str, object]`. It gets the values that the user has set, by name, as
    the engine's dataclasses take them.

    Parameters
    ----------
    measuring
        Whether to add the options that are only for measuring.
    leaving_out
        Names of options that the command defines itself.
    configured
        Whether the command takes the user's settings. It then has a parameter `settings: Settings`.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        offered = {name: (known, panel) for name, known, panel in _offered() if measuring or not known.option.measuring}
        for name in leaving_out:
            del offered[name]

        @functools.wraps(command)
        def run(context: typer.Context, **arguments: Any) -> None:
            by_user = {
                name
                for name in context.params
                if getattr(context.get_parameter_source(name), "name", "") in _SET_BY_USER
            }
            values = {name: arguments.pop(name) for name in offered}
            given = {name: as_given(offered[name][0], value) for name, value in values.items() if name in by_user}
            if configured:
                settings = settings_for(run)
                arguments |= defaults.arguments(settings, {name: arguments[name] for name in by_user & set(own)}, given)
                arguments["settings"] = settings
            command(given=given, **arguments)

        ours = ("given", "settings")
        own = {
            name: each
            for name, each in inspect.signature(command, eval_str=True).parameters.items()
            if name not in ours
        }
        parameters = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own.values()),
            *(_parameter(known, panel) for known, panel in offered.values()),
        ]
        vars(run)["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def settings_for(command: Callable[..., None], config: Config | None = None) -> Settings:
    """The user's settings for a command; `config` is the file, None to read it. Raises `UsageError`."""
    config = config or read()
    return checked(config, options_of(command), {name: known for name, known, _ in _offered()}, as_given)


def variables() -> dict[str, str]:
    """The environment variables that engines read for options that are not given, by the names of the options."""
    return {name: known.option.variable for name, known, _ in _offered() if known.option.variable}


def _offered() -> Iterator[tuple[str, Declared, str | None]]:
    """Each option once, with its panel: the common ones first, then those of each engine, in a panel of its name."""
    shared = dict(declared(SpeakOptions)) | dict(declared(EngineSettings))
    yield from ((name, known, None) for name, known in shared.items())
    seen = set(shared)
    for spec in engines().values():
        for kind in (spec.settings, spec.options):
            for name, known in declared(kind).items():
                if name not in seen:
                    seen.add(name)
                    yield name, known, spec.name.capitalize()


def _parameter(known: Declared, panel: str | None) -> inspect.Parameter:
    option = known.option
    kind: Any = Literal[option.choices] if option.choices else known.kind
    default: Any = known.default
    extra: dict[str, Any] = {}
    if option.none:
        kind, extra["metavar"] = str, f"N|{option.none}"
        default = option.none if default is None else str(default)
    elif option.milliseconds:
        kind, default = int, round(1000 * default)
    elif known.optional:
        kind = kind | None
    if known.kind in (int, float) and not option.none:
        scale, number = (1000, int) if option.milliseconds else (1, known.kind)
        for name, bound in (("min", option.minimum), ("max", option.maximum)):
            if bound is not None and abs(bound) < 1e9:  # a larger bound tells a reader nothing
                extra[name] = number(bound * scale)
    annotation = Annotated[
        kind,
        typer.Option(help=option.help, show_default=default is not None, rich_help_panel=panel, **extra),
    ]
    return inspect.Parameter(known.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def as_given(known: Declared, value: Any) -> object:
    """A value of the command line as the engine takes it. Raises `UsageError`."""
    option = known.option
    if option.milliseconds:
        return value / 1000
    if isinstance(value, Path):
        return expanded(value)
    if not option.none:
        return value
    if value == option.none:
        return None
    number = read_whole(value)
    if number is None or not (option.minimum or 1) <= number <= (option.maximum or number):
        shown = value if len(value) <= 20 else f"{value[:17]}..."
        raise UsageError(
            f"--{known.name} {shown} means nothing",
            f"choose {option.none}, or a number from {option.minimum:g} to {option.maximum:g}",
        )
    return number
