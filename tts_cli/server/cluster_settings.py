"""The settings of a cluster: environment variables, checked before anything is started."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from tts_cli.checks import number, one_of, read_whole, whole
from tts_cli.engines.options import Declared, EngineSettings, Option, declared
from tts_cli.engines.registry import AUTO, check_has, find, split, voice_maker
from tts_cli.engines.spec import EngineSpec
from tts_cli.errors import UsageError
from tts_cli.server.address import check_token, checked_origins

FOLDERS: Final = ("TTS_MODEL_DIR", "TTS_VOICES_DIR", "TTS_CACHE_DIR")
"""Variables that name folders. The replicas on all machines get the values that they have where the app is built."""
SWITCH: Final = {"0": False, "1": True}


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What the environment says. Each field names its variable."""

    engine: Annotated[
        str, Option("The engine, by the name that `--engine` takes; not `auto`.", variable="TTS_CLUSTER_ENGINE")
    ] = "builtin"
    voice: Annotated[
        str | None,
        Option("Voice of requests that name none; else the engine's default.", variable="TTS_CLUSTER_VOICE"),
    ] = None
    options: Annotated[
        str,
        Option(
            'Options of the engine by their Python names, as JSON, such as `{"chunk": 25}`.',
            variable="TTS_CLUSTER_OPTIONS",
        ),
    ] = "{}"
    token: Annotated[
        str,
        Option(
            "What clients must send as a Bearer token; without it, only this machine is served.",
            variable="TTS_SERVER_KEY",
        ),
    ] = ""
    allow_voices: Annotated[
        bool, Option("1: clients may make and remove voices.", variable="TTS_CLUSTER_ALLOW_VOICES")
    ] = False
    listeners: Annotated[
        int, Option("Listeners whom one replica speaks for at once.", 1, 1000, variable="TTS_CLUSTER_LISTENERS")
    ] = 8
    queue: Annotated[int, Option("Requests that may wait at each replica.", 0, 1000, variable="TTS_CLUSTER_QUEUE")] = 4
    backlog: Annotated[
        int,
        Option(
            "Requests that may wait at each proxy for a replica with room; more get status 503.",
            1,
            100_000,
            variable="TTS_CLUSTER_BACKLOG",
        ),
    ] = 100
    min_replicas: Annotated[
        int, Option("Replicas that are always there.", 1, 10_000, variable="TTS_CLUSTER_MIN_REPLICAS")
    ] = 1
    max_replicas: Annotated[int, Option("Replicas at most.", 1, 10_000, variable="TTS_CLUSTER_MAX_REPLICAS")] = 1
    scale_up_after: Annotated[
        float, Option("Seconds of load before replicas are added.", 0, 3600, variable="TTS_CLUSTER_SCALE_UP_AFTER")
    ] = 5.0
    scale_down_after: Annotated[
        float,
        Option("Seconds of less load before replicas are ended.", 0, 86_400, variable="TTS_CLUSTER_SCALE_DOWN_AFTER"),
    ] = 300.0
    cpus: Annotated[
        float,
        Option(
            "Cores for each replica; an engine with the setting threads computes with so many.",
            0,
            1024,
            variable="TTS_CLUSTER_CPUS",
        ),
    ] = 1.0
    gpus: Annotated[
        float,
        Option("GPUs for each replica: 0.25 lets four replicas share one.", 0, 64, variable="TTS_CLUSTER_GPUS"),
    ] = 0.0
    health_every: Annotated[
        float,
        Option("Seconds between two checks of a replica's engine.", 0.1, 3600, variable="TTS_CLUSTER_HEALTH_EVERY"),
    ] = 10.0
    grace: Annotated[
        float,
        Option("Seconds that a replica's listeners have when it is ended.", 0, 3600, variable="TTS_CLUSTER_GRACE"),
    ] = 30.0
    origins: Annotated[
        str,
        Option(
            "Other sites whose pages may use the cluster, with commas between them.", variable="TTS_CLUSTER_ORIGINS"
        ),
    ] = ""
    folders: Mapping[str, str] = field(default_factory=dict)
    """The values of `FOLDERS` that are set."""

    @property
    def sites(self) -> frozenset[str]:
        """The sites in `origins`. Raises `UsageError` if one is none."""
        return checked_origins(filter(None, map(str.strip, self.origins.split(","))))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engine of all replicas."""

    spec: EngineSpec
    settings: EngineSettings
    defaults: Mapping[str, Any]
    """Options that requests have if they do not say otherwise."""


def read_settings(environment: Mapping[str, str]) -> ClusterSettings:
    """Read the settings, and check all that can be checked where no engine is loaded.

    Parameters
    ----------
    environment
        Environment variables. Empty ones count as not set.

    Raises
    ------
    UsageError
        If a value is not allowed, or values contradict each other. The message names the variable.

    Examples
    --------
    >>> read_settings({"TTS_CLUSTER_LISTENERS": "4"}).listeners
    4
    """
    known = declared(ClusterSettings).values()
    given: dict[str, Any] = {
        each.name: _read(each, value) for each in known if (value := environment.get(each.option.variable))
    }
    folders = {name: str(Path(value).expanduser().absolute()) for name in FOLDERS if (value := environment.get(name))}
    settings = ClusterSettings(**given, folders=folders)
    if settings.max_replicas < settings.min_replicas:
        raise UsageError(
            f"TTS_CLUSTER_MAX_REPLICAS cannot be {settings.max_replicas}: "
            f"TTS_CLUSTER_MIN_REPLICAS is {settings.min_replicas}",
            "set both, the larger one as maximum",
        )
    if settings.gpus > 1 and not settings.gpus.is_integer():
        raise UsageError(f"TTS_CLUSTER_GPUS cannot be {settings.gpus:g}", "choose a whole number, or a share below 1")
    check_token(settings.token)
    _ = settings.sites
    chosen = choose_engine(settings)
    if settings.allow_voices:
        voice_maker(chosen.spec, chosen.settings)
    voices = {info.name for info in chosen.spec.voices(chosen.settings)}
    if settings.voice is not None and voices and settings.voice not in voices:
        raise UsageError(
            f"TTS_CLUSTER_VOICE: there is no voice {settings.voice!r}", f"choose one of: {', '.join(sorted(voices))}"
        )
    return settings


def choose_engine(settings: ClusterSettings) -> Chosen:
    """The engine that the settings name.

    Raises
    ------
    UsageError
        If there is no such engine, or it does not have an option with such a value.
    """
    if settings.engine == AUTO:
        raise UsageError("TTS_CLUSTER_ENGINE cannot be 'auto'", "name an engine, so that all replicas have the same")
    spec = find(settings.engine)
    given = _options(settings.options)
    check_has(spec, given)
    if spec.has("threads") and settings.cpus >= 1:
        given.setdefault("threads", int(settings.cpus))
    for name, value in given.items():
        if isinstance(value, str) and _kind(spec, name) is Path:
            given[name] = Path(value)
    made, _ = split(spec, given)
    return Chosen(spec, made, {name: value for name, value in given.items() if name in declared(spec.options)})


def _kind(spec: EngineSpec, name: str) -> type:
    return {**declared(spec.settings), **declared(spec.options)}[name].kind


def _options(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError("TTS_CLUSTER_OPTIONS is no JSON object", 'write it as: {"chunk": 25}')
    return found


def _read(known: Declared, text: str) -> object:
    """The value of a variable. Raises `UsageError`."""
    name, option = known.option.variable, known.option
    least = -math.inf if option.minimum is None else option.minimum
    most = math.inf if option.maximum is None else option.maximum
    if known.kind is bool:
        one_of(name, text, tuple(SWITCH))
        return SWITCH[text]
    if known.kind is int:
        value = read_whole(text)
        whole(name, text if value is None else value, least, most)
        return value
    if known.kind is float:
        try:
            found: object = float(text)
        except ValueError:
            found = text
        number(name, found, least, most)
        return found
    return text
