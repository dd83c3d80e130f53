"""Speaks through servers with OpenAI's speech API."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx

from tts_cli.audio import AudioChunk
from tts_cli.engines import EngineSettings, Segments, SpeakOptions
from tts_cli.engines.in_order import in_order
from tts_cli.engines.remote import SAMPLE_RATE
from tts_cli.engines.remote.answer import ServerError, message_of, sound
from tts_cli.engines.remote.options import RemoteSettings
from tts_cli.engines.remote.servers import Server, Servers
from tts_cli.errors import MissingError, UsageError
from tts_cli.segment import Segment

KEY: Final = "TTS_SERVER_KEY"
"""The environment variable with the key, which is sent as a bearer token to the named servers and nowhere else."""
TIMES: Final = httpx.Timeout(60, connect=5, write=10, pool=5)
"""Seconds to wait for a server. It may compute for long before its first sound."""
CAPACITY: Final = 8
"""Utterances at once on each server."""
BUSY: Final = (429, 503)
LONGEST_WAIT: Final = 5.0
"""Seconds to wait for a server that is busy."""
TRIES: Final = 3
"""How often each server is asked while it is busy."""
OPENAI: Final = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
"""The voices of OpenAI's own server, which lists none: platform.openai.com/docs/guides/text-to-speech."""


class RemoteEngine:
    """Speech servers as an engine. The next segment is asked for while one is given.

    Parameters
    ----------
    settings
        `RemoteSettings`.

    Raises
    ------
    MissingError
        If no server is named, or none answers.
    UsageError
        If the servers want another key.
    """

    name = "remote"
    sample_rate = SAMPLE_RATE
    precision = ""
    strategy = ""

    def __init__(self, settings: EngineSettings) -> None:
        chosen = cast(RemoteSettings, settings)
        self._servers = Servers(chosen.addresses)
        self.capacity = CAPACITY * len(self._servers.all)
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A redirect could lead the key to another server, so none is followed.
        self._client = httpx.Client(headers=headers, timeout=TIMES, follow_redirects=False)
        try:
            self._voices = self._asked_for_voices()
            self._model = chosen.server_model or self._asked_for_model()
        except BaseException:
            self._client.close()
            raise

    def voices(self) -> list[str]:
        """The voices of the first server that answered; OpenAI's, if it lists none."""
        return self._voices

    def stream(self, segments: Segments, voice: str, options: SpeakOptions) -> Generator[AudioChunk, None, None]:
        """See `Engine.stream`. A server that fails before its first sound is replaced by another, once each."""

        def speak(segment: Segment) -> Iterator[AudioChunk]:
            fields: dict[str, Any] = {"model": self._model, "input": segment.text, "voice": voice}
            fields |= {"response_format": "pcm", "stream_format": "audio"}
            if options.speed != 1:
                fields["speed"] = options.speed
            for samples in self._sound(fields):
                yield AudioChunk(samples, self.sample_rate, segment)

        return in_order(segments, speak, ahead=True)

    def close(self) -> None:
        """Close the connections. Calling it twice is harmless."""
        self._client.close()

    def _sound(self, fields: dict[str, Any]) -> Iterator[Any]:
        """The sound of one request. If a server fails before its first sound, another one is asked."""
        failed: list[Server] = []
        busy = 0
        while True:
            with self._servers.asked(but=failed) as server:
                begun = False
                try:
                    with self._client.stream("POST", f"{server.url}/v1/audio/speech", json=fields) as response:
                        self._check(response)
                        for samples in sound(response):
                            begun = True
                            yield samples
                        return
                except (httpx.HTTPError, ServerError) as error:
                    wait = _wait(error)
                    if begun:
                        raise _readable(error, server) from error
                    self._servers.failed(server)
                    failed.append(server)
                    if len(failed) < len(self._servers.all):
                        continue
                    busy += 1
                    if wait is None or busy == TRIES:
                        raise _readable(error, server) from error
            time.sleep(wait)
            failed.clear()

    def _check(self, response: httpx.Response) -> None:
        """Raise what an answer other than 200 means."""
        if response.status_code == httpx.codes.OK:
            return
        if response.is_redirect:
            to = response.headers.get("location", "")
            raise UsageError(f"{response.url} sends on to {to}", "name that server itself with --server")
        if response.status_code in (401, 403):
            raise UsageError(f"{response.url} wants another key", f"put it into {KEY}")
        said = message_of(response.read()) or response.reason_phrase
        if response.status_code in BUSY:
            raise BusyError(f"{response.url} is busy ({said})", response.headers.get("retry-after", ""))
        kind = ServerError if response.status_code >= 500 else UsageError
        raise kind(f"{response.url} refuses ({response.status_code}): {said}")

    def _asked_for_voices(self) -> list[str]:
        """The voices of the first server that answers, in its order. The others are asked last for some time."""
        reasons: list[str] = []
        for server in self._servers.all:
            try:
                return self._voices_of(server)
            except (httpx.HTTPError, ServerError) as error:  # noqa: PERF203 (few servers)
                self._servers.failed(server)
                reasons.append(str(_readable(error, server)))
        raise MissingError(reasons[0], "start it (tts serve), or check the address")

    def _voices_of(self, server: Server) -> list[str]:
        answer = self._client.get(f"{server.url}/v1/audio/voices")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return list(OPENAI)
        self._check(answer)
        return _names(_json(answer)) or list(OPENAI)

    def _asked_for_model(self) -> str:
        """The first model of a server that has to do with speech, or else its first one."""
        with self._servers.asked() as server:
            try:
                answer = self._client.get(f"{server.url}/v1/models")
                self._check(answer)
                names = _names(_json(answer))
            except (httpx.HTTPError, ServerError, UsageError):
                names = []
        return next((name for name in names if "tts" in name), names[0] if names else "tts-1")


class BusyError(ServerError):
    """A server has no place free.

    Parameters
    ----------
    message
        What it says.
    retry_after
        The header `Retry-After`, or an empty string.
    """

    def __init__(self, message: str, retry_after: str) -> None:
        super().__init__(message, "try again later")
        self.wait = min(float(retry_after) if retry_after.isdecimal() else 1.0, LONGEST_WAIT)


def _wait(error: Exception) -> float | None:
    """Seconds after which to ask again; None if that is of no use."""
    return error.wait if isinstance(error, BusyError) else None


def _readable(error: Exception, server: Server) -> ServerError:
    if isinstance(error, ServerError):
        return error
    known: dict[type[Exception], str] = {
        httpx.ConnectTimeout: "does not answer",
        httpx.ConnectError: "cannot be reached",
        httpx.ReadTimeout: f"has sent nothing for {TIMES.read:.0f} s",
        httpx.RemoteProtocolError: "broke off",
        httpx.ReadError: "broke off",
    }
    return ServerError(f"{urlsplit(server.url).netloc} {known.get(type(error), f'fails ({error})')}")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise ServerError(f"{answer.url} answers with no JSON", "check the address") from error


def _names(listed: Any) -> list[str]:
    """The names in a list of voices or models: of strings, or of objects, alone or under `voices` or `data`."""
    if isinstance(listed, dict):
        listed = next((listed[key] for key in ("voices", "data", "models") if key in listed), [])
    if not isinstance(listed, list):
        return []
    found = [each if isinstance(each, str) else _name(each) for each in listed]
    return [name for name in found if name]


def _name(listed: Any) -> str:
    if not isinstance(listed, dict):
        return ""
    return next((name for key in ("id", "voice_id", "name") if isinstance(name := listed.get(key), str)), "")
