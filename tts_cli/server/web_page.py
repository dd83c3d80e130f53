"""The page at `/`, with which a browser speaks. Its files are in the folder `page`, as the browser gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import Response

from tts_cli.engines.options import declared
from tts_cli.server.service import Service

FOLDER: Final = Path(__file__).parent / "page"
FILES: Final = {
    "/": ("index.html", "text/html"),
    "/page/page.css": ("page.css", "text/css"),
    **{f"/page/{name}": (name, "text/javascript") for name in ("page.js", "player.js", "wave.js", "worklet.js")},
}
"""The file and the media type of each path. They are open without a token, which the page asks for."""
HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing but this server's own files runs in the page, and no other page shows it in a frame."""


def add_page(app: FastAPI, service: Service) -> None:
    """Add the routes."""
    for path, (name, kind) in FILES.items():
        _add_file(app, path, (FOLDER / name).read_bytes(), f"{kind}; charset=utf-8")

    @app.get("/page/settings")
    async def settings() -> dict[str, Any]:
        """What the page offers to choose."""
        session = service.session
        known = declared(session.spec.options)
        offered = "strategy" in known and session.spec.has("strategy")  # it may also be a setting, which stays
        return {
            "engine": session.spec.title,
            "sample_rate": session.engine.sample_rate,
            "voices": session.voices(),
            "voice": session.voice,
            "strategies": list(known["strategy"].option.choices) if offered else [],
            "bounds": {name: [known[name].option.minimum, known[name].option.maximum] for name in ("chunk", "speed")},
        }


def _add_file(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    async def file() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    app.add_api_route(path, file, methods=["GET", "HEAD"], include_in_schema=False)
