"""Reads the answer of a speech server: raw PCM, or server-sent events that hold it, as `Content-Type` says."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tts_cli.audio import Samples
from tts_cli.engines.remote import SAMPLE_RATE
from tts_cli.errors import TTSError
from tts_cli.printable import on_one_line

if TYPE_CHECKING:
    import httpx

EVENTS: Final = "text/event-stream"
RAW: Final = ("audio/pcm", "audio/x-pcm", "application/octet-stream")
MOST_OF_A_MESSAGE: Final = 200
"""Characters of a server's message that are shown."""


class ServerError(TTSError):
    """A server does not speak as it should."""


def sound(response: httpx.Response) -> Iterator[Samples]:
    """The sound of an answer, as it arrives.

    Parameters
    ----------
    response
        A response with status 200 whose body has not been read.

    Yields
    ------
    Samples
        At `SAMPLE_RATE`, in the pieces in which they come; none is empty.

    Raises
    ------
    ServerError
        If the answer is no PCM, or ends too early.
    """
    kind, rate = _kind(response)
    pieces = _events(response) if kind == EVENTS else response.iter_bytes()
    yield from _at_our_rate(_samples(pieces), rate)


def message_of(body: bytes) -> str:
    """What the body of an error response says, in one line."""
    text = body.decode(errors="replace")
    try:
        found = _message_in(json.loads(text))
    except ValueError:
        found = ""
    return on_one_line(found or text)[:MOST_OF_A_MESSAGE]


def _message_in(value: Any) -> str:
    """The message in an object as OpenAI's servers, FastAPI and others write it; empty if there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _message_in(value[0]) if value else ""
    if isinstance(value, dict):
        return next(
            (text for key in ("message", "msg", "error", "detail") if (text := _message_in(value.get(key)))), ""
        )
    return ""


def _kind(response: httpx.Response) -> tuple[str, int]:
    """The media type, and samples a second."""
    media_type, *parameters = response.headers.get("content-type", RAW[-1]).lower().split(";")
    kind = media_type.strip()
    if kind not in (EVENTS, *RAW):
        raise ServerError(f"{response.url} answers with {kind}, not with PCM as it was asked to", "use another server")
    given = dict(each.strip().partition("=")[::2] for each in parameters)
    rate = given.get("rate") or response.headers.get("x-sample-rate") or str(SAMPLE_RATE)
    if not (rate.isdecimal() and 8000 <= int(rate) <= 192_000):
        raise ServerError(f"{response.url} sends sound with a rate of {rate!r}", "use another server")
    return kind, int(rate)


def _events(response: httpx.Response) -> Iterator[bytes]:
    from httpx_sse import EventSource, SSEError

    try:
        for event in EventSource(response).iter_sse():
            if event.data == "[DONE]":
                continue
            fields = json.loads(event.data)
            kind = fields.get("type", event.event)
            if kind == "speech.audio.delta":
                yield base64.b64decode(fields["audio"], validate=True)
            elif kind == "speech.audio.done":
                return
            elif "error" in kind:
                raise ServerError(f"{response.url} says: {message_of(event.data.encode())}")
    except (SSEError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ServerError(
            f"{response.url} sends events that are none of the speech API", "use another server"
        ) from error
    raise ServerError(f"{response.url} ended before the speech was complete")


def _samples(pieces: Iterator[bytes]) -> Iterator[Samples]:
    """16-bit PCM as samples; a sample may be cut into two pieces."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) // 2 * 2
        rest = data[whole:]
        if whole:
            yield (np.frombuffer(data[:whole], "<i2") / 32768).astype(np.float32)


def _at_our_rate(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    import soxr

    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    for block in blocks:
        if len(out := resampler.resample_chunk(block)):
            yield out
    if len(out := resampler.resample_chunk(np.zeros(0, np.float32), last=True)):
        yield out
