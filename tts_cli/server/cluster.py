"""The app of `tts serve` on many machines, by Ray Serve: `serve run tts_cli.server.cluster:app`."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any, Final, cast

from tts_cli.errors import MissingError, TTSError, UsageError
from tts_cli.server.cluster_settings import ClusterSettings, read_settings

try:
    import click
    from ray import serve
    from ray.serve import Application

    from tts_cli.server.replica import Replica, front
except ImportError as error:
    raise MissingError(
        f"the packages for a cluster are not installed ({error})", "run: pip install '.[cluster]'"
    ) from error

FULL: Final = 0.75
"""The share of a replica's places that Ray keeps taken, on average: more replicas before anybody waits."""
LOOK_BACK_SECONDS: Final = 15.0
"""Ray decides by the most listeners within these seconds, so a rush is not averaged away."""
HEALTH_TIMEOUT: Final = 30.0
IN_PROXY: Final = ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "tts_cli.server.backpressure:in_proxy")
"""The variable by which Ray's proxies find their middleware."""
LOOK_SECONDS: Final = 1.0
"""How often a replica that is ended looks whether it still has listeners."""


class SettingsError(click.ClickException):
    """What is wrong with the settings. `serve run` prints it in a line.

    Parameters
    ----------
    error
        The reason.
    """

    def __init__(self, error: TTSError) -> None:
        super().__init__(str(error))
        vars(self)["exit_code"] = error.exit_code


def app(arguments: Mapping[str, str]) -> Application:
    """The application. Ray calls this where it is started.

    Parameters
    ----------
    arguments
        What follows the import path of `serve run`; it must be empty.

    Raises
    ------
    SettingsError
        If a setting is wrong.
    """
    try:
        if arguments:
            raise UsageError(f"there is no argument {next(iter(arguments))!r}", "set environment variables instead")
        settings = read_settings(os.environ)
        _check_host(os.environ.get("RAY_SERVE_DEFAULT_HTTP_HOST", ""), settings.token)
    except TTSError as error:
        raise SettingsError(error) from error
    os.environ.setdefault(*IN_PROXY)  # for the Ray that `serve run` starts
    return application(settings)


def application(settings: ClusterSettings) -> Application:
    """The deployment for these settings."""
    deployment: Any = serve.deployment(  # which is declared to return a decorator
        serve.ingress(front)(Replica),
        name="speech",
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        max_ongoing_requests=settings.listeners + settings.queue,
        max_queued_requests=settings.backlog,
        autoscaling_config=_scaling(settings),
        graceful_shutdown_timeout_s=settings.grace,
        graceful_shutdown_wait_loop_s=min(LOOK_SECONDS, settings.grace),
        health_check_period_s=settings.health_every,
        health_check_timeout_s=HEALTH_TIMEOUT,
    )
    return cast(Application, deployment.bind(settings))


def _scaling(settings: ClusterSettings) -> dict[str, Any]:
    return {
        "min_replicas": settings.min_replicas,
        "max_replicas": settings.max_replicas,
        "target_ongoing_requests": FULL * settings.listeners,
        "upscale_delay_s": settings.scale_up_after,
        "downscale_delay_s": settings.scale_down_after,
        "look_back_period_s": LOOK_BACK_SECONDS,
        "aggregation_function": "max",
    }


def _check_host(host: str, token: str) -> None:
    """Raise `UsageError` if Ray would serve other machines and there is no token."""
    try:
        local = not host or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not (local or token):
        raise UsageError(
            f"other machines could reach this server at {host}",
            "set TTS_SERVER_KEY, or unset RAY_SERVE_DEFAULT_HTTP_HOST",
        )
