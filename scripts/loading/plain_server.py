"""What most servers for Chatterbox do: a plain FastAPI app around `generate` of upstream's package.

    python scripts/loading/plain_server.py FOLDER --tokens 75 [--port 0]

`POST /v1/audio/speech` computes the whole sound, one request after the other, and then answers with 16-bit PCM. There
is no streaming, no queue with an end, and nothing notices that a client has left. FOLDER holds the weights, with a
voice. When the model is loaded, a line with the address is printed.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from tts_cli.audio import to_pcm16
from tts_cli.engines.chatterbox.proof.upstream import Upstream


class Fields(BaseModel):
    """What a request has, of which the text counts."""

    input: str


def app_of(upstream: Upstream, voice: Path, tokens: int) -> FastAPI:
    """The app: one route, and a lock, because the model can speak one text at a time."""
    app, speaking = FastAPI(), threading.Lock()

    @app.post("/v1/audio/speech")
    def speech(fields: Fields) -> Response:
        with speaking:
            (sound,) = upstream.speak("upstream", str(voice), fields.input, tokens, 10, 1)
        return Response(to_pcm16(sound.float().numpy().ravel()).tobytes(), media_type="audio/pcm")

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=75)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    os.environ.pop("OMP_WAIT_POLICY", None)  # our package sets it, and a plain script does not
    warnings.simplefilter("ignore")
    told = os.fdopen(os.dup(1), "w")  # upstream prints to standard output
    os.dup2(2, 1)
    with socket.create_server(("127.0.0.1", given.port)) as bound:
        app = app_of(Upstream(str(given.folder), "cpu"), given.folder / "conds.pt", given.tokens)
        print(f"Serving upstream at http://127.0.0.1:{bound.getsockname()[1]}", file=told, flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([bound])


if __name__ == "__main__":
    main()
