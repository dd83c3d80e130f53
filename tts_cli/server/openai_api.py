"""The routes of OpenAI's speech API, and those that its clients ask for models and voices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tts_cli.server.encoding import MEDIA_TYPES, encoder_for
from tts_cli.server.service import Service
from tts_cli.server.speech_response import SpeechResponse


class VoiceId(BaseModel):
    """A voice, as an object."""

    id: str


class SpeechFields(BaseModel):
    """What `/v1/audio/speech` takes. Further fields are options of the engine."""

    model_config = ConfigDict(extra="allow")

    input: str
    """The text."""
    model: str = ""
    """Any name: the server has one engine."""
    voice: str | VoiceId | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(strict=True, ge=0.25, le=4)] | None = None
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: str | None = None
    """Ignored: the engines take none."""


def add_openai_api(app: FastAPI, service: Service) -> None:
    """Add the routes."""
    sound: dict[str, Any] = {kind: {} for kind in [*MEDIA_TYPES.values(), "text/event-stream"]}
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "The sound", "content": sound},
        400: {"description": "A field is wrong"},
        429: {"description": "All places are taken, and so is the queue"},
        503: {"description": "The engine is not loaded, or the server is ending"},
    }

    @app.post("/v1/audio/speech", response_class=Response, responses=answers)
    async def speech(fields: SpeechFields) -> Response:
        """Speak a text."""
        encoder = encoder_for(fields.response_format)
        voice = fields.voice.id if isinstance(fields.voice, VoiceId) else fields.voice
        options = dict(fields.model_extra or {}) | ({} if fields.speed is None else {"speed": fields.speed})
        request = service.request(fields.input, voice, options)
        events = fields.stream_format == "sse"
        return SpeechResponse(service, request, encoder, MEDIA_TYPES[fields.response_format], events=events)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The engine, as a model."""
        name = service.session.spec.name
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "tts"}]}

    @app.get("/v1/audio/models")
    async def audio_models() -> dict[str, Any]:
        """The same, as Open WebUI asks for it."""
        spec = service.session.spec
        return {"models": [{"id": spec.name, "name": spec.title}]}

    @app.get("/v1/audio/voices")
    async def voices() -> dict[str, Any]:
        """The voices, the default of the engine first."""
        return {"voices": [{"id": name, "name": name} for name in service.session.voices()]}
