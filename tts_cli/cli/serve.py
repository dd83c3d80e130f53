"""The command `tts serve`."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from typing import Annotated, Final

import typer

from tts_cli.cli import completion
from tts_cli.cli.options import with_engine_options
from tts_cli.cli.speak import EngineName
from tts_cli.engines.registry import AUTO
from tts_cli.errors import MissingError
from tts_cli.printable import on_one_line

INSTALL: Final = "run: pip install '.[serve]'"

Host = Annotated[str, typer.Option(help="Address to serve at. One that other machines can reach needs --token.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to serve at; 0: any that is free.")]
Voice = Annotated[
    str | None,
    typer.Option(
        help="Voice of requests that name none; else the engine's default.",
        show_default=False,
        autocompletion=completion.voices,
    ),
]
Token = Annotated[
    str,
    typer.Option(
        envvar="TTS_SERVER_KEY",
        help="What clients must send as a Bearer token; the environment variable hides it from other users.",
        show_default=False,
    ),
]
Listeners = Annotated[
    int | None,
    typer.Option(
        min=1, max=1000, help="Listeners at once; else as many as the engine computes for.", show_default=False
    ),
]
Queue = Annotated[int, typer.Option(min=0, max=1000, help="Requests that may wait for a place; more are refused.")]
Grace = Annotated[
    float, typer.Option(min=0, max=3600, metavar="S", help="After Ctrl-C or SIGTERM, speak on for so many seconds.")
]
IdleStop = Annotated[
    float,
    typer.Option(min=0, max=1e6, metavar="S", help="End when nobody has been served for so many seconds; 0: never."),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SITE",
        help="A site whose pages may use the server, such as https://example.org; may be given again.",
        show_default=False,
    ),
]
AllowVoices = Annotated[
    bool, typer.Option("--allow-voices", help="Clients may make voices of recordings, and remove voices.")
]


@with_engine_options()
def serve(
    given: dict[str, object],
    host: Host = "127.0.0.1",
    port: Port = 8765,
    engine: EngineName = AUTO,
    voice: Voice = None,
    token: Token = "",
    max_listeners: Listeners = None,
    queue: Queue = 16,
    grace: Grace = 8.0,
    idle_stop: IdleStop = 0.0,
    allow_voices: AllowVoices = False,
    allow_origin: AllowOrigin = None,
) -> None:
    """Load an engine once and let programs on this machine speak with it, over WebSockets and HTTP.

    Options of the engine are the defaults of requests. See docs/server.md.
    """
    from tts_cli.server.address import bind, check_token, checked_origins

    check_token(token)
    origins = checked_origins(allow_origin or ())
    with closing(bind(host, port, token)) as bound:
        try:
            from tts_cli.server.running import Plan, serve
        except ImportError as error:
            raise MissingError(f"the server's packages are not installed ({error})", INSTALL) from error
        from tts_cli.cli.serve_panel import panel_on_terminal
        from tts_cli.engines.options import declared
        from tts_cli.engines.registry import choose, split, voice_maker
        from tts_cli.session import Session

        spec, notice = choose(engine, voice, given)
        settings, _ = split(spec, given)
        defaults = {name: value for name, value in given.items() if name in declared(spec.options)}

        panel = panel_on_terminal()

        def ready(session: Session, url: str) -> None:
            for each in filter(None, (notice, session.notice)):
                print(f"tts: {on_one_line(each)}", file=sys.stderr)  # noqa: T201
            served = on_one_line(f"{session.spec.name}/{session.voice}")
            print(f"Serving {served} at {url}", flush=True)  # noqa: T201
            if panel is not None:
                panel.title = f"tts serve · {served} · {url}"

        making = partial(voice_maker, spec, settings) if allow_voices else None
        plan = Plan(token, max_listeners, queue, grace, idle_stop, making, None, origins)
        serve(bound, plan, lambda: Session(spec, settings, voice), defaults, ready, panel)
