"""The routes that make and remove voices, for servers that allow it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

from fastapi import FastAPI, Form, UploadFile
from starlette.exceptions import HTTPException

from tts_cli.engines import VoiceMaker
from tts_cli.engines.registry import check_not_own
from tts_cli.errors import MissingError, TTSError, UsageError
from tts_cli.printable import on_one_line
from tts_cli.server.request import FieldError
from tts_cli.server.service import Service

PATH: Final = "/v1/audio/voices"
MAKING_SECONDS: Final = 600
"""How long making a voice may take."""
DISABLED: Final = "this server makes and removes no voices; start it with --allow-voices"
ANOTHER: Final = "send another recording"
KINDS: Final[dict[int, type[TTSError]]] = {2: UsageError, 3: MissingError}

VoiceMakerOf = Callable[[], VoiceMaker]
"""Returns what makes the engine's voices. Raises `UsageError` if the engine has its own voices only."""


def add_voice_making(app: FastAPI, service: Service, maker_of: VoiceMakerOf | None) -> None:
    """Add the routes that make and remove voices.

    Parameters
    ----------
    app
        The app.
    service
        Has the loaded engine.
    maker_of
        Returns what makes voices; None to refuse every such request.
    """
    answers: dict[int | str, dict[str, Any]] = {
        400: {"description": "The name or the recording cannot be used"},
        403: {"description": "The server does not allow it"},
        503: {"description": "The engine is not loaded, or the server is ending"},
    }

    def maker() -> VoiceMaker:
        if maker_of is None:
            raise HTTPException(403, DISABLED)
        _ = service.session  # raises if it is not ready
        return maker_of()

    @app.post(PATH, responses={**answers, 429: {"description": "Another voice is being made"}})
    async def make(
        name: Annotated[str, Form()],
        audio_sample: UploadFile,
        consent: Annotated[str, Form()] = "",  # OpenAI's clients send it
    ) -> dict[str, Any]:
        """Make a voice of a recording."""
        del consent
        making = maker()
        with _about("name"):
            check_not_own(name, "")
            making.check_free(name)
        source = on_one_line(audio_sample.filename or "")[:200]
        with TemporaryDirectory(prefix="tts-") as folder:
            file = Path(folder, "recording")
            file.write_bytes(await audio_sample.read())
            await _run(making.command(file, name, source))
        return {"id": name, "object": "audio.voice", "name": name}

    @app.delete(f"{PATH}/{{name}}", responses={**answers, 404: {"description": "There is no such voice"}})
    async def remove(name: str) -> dict[str, Any]:
        """Remove a voice that was made of a recording."""
        making, session = maker(), service.session
        if name not in session.voices():
            raise HTTPException(404, f"there is no voice {name[:100]!r}")
        with _about("name"):
            check_not_own(name, "")
            if name == session.voice:
                raise UsageError(f"{name!r} is the voice of this server")
        await asyncio.to_thread(making.remove, name)
        return {"id": name, "object": "audio.voice", "deleted": True}


@contextlib.contextmanager
def _about(field: str) -> Iterator[None]:
    """Names the field that a `UsageError` is about. Its remedy is for the command line, so another is given."""
    try:
        yield
    except UsageError as error:
        raise FieldError(error.message, "choose another name", field) from error


async def _run(command: Sequence[str]) -> None:
    """Run a command of a `VoiceMaker`. It is killed if it takes too long, and when the server ends."""
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=nothing, stdout=asyncio.subprocess.PIPE, stderr=nothing, start_new_session=True
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), MAKING_SECONDS)
    except asyncio.TimeoutError as error:
        raise UsageError(f"making the voice took longer than {MAKING_SECONDS} s", ANOTHER) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    if process.returncode == -signal.SIGXCPU:
        raise UsageError("the recording takes too long to read", "send 10 to 15 s of one voice")
    if process.returncode < 0:
        raise UsageError("the recording cannot be read", ANOTHER)
    if process.returncode:
        lines = said.decode(errors="replace").splitlines() or ["the voice could not be made"]
        raise KINDS.get(process.returncode, TTSError)(lines[-1][:1000])
