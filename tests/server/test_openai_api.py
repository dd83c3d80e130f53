"""OpenAI's speech API, with OpenAI's own client and with Open WebUI's requests."""

from __future__ import annotations

import base64
import io
import json
import socket
import urllib.request
import wave
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead
from typing import Any

import av
import numpy as np
import openai
import pytest

from tests.harness import PATIENCE, ROOT
from tests.loudspeaker import PCM
from tests.server.serving import ENDLESS, Server, hear, send, serving, spoken
from tts_cli.server.encoding import MEDIA_TYPES, encoder_for

TEXT = "It rains. It pours."


@pytest.fixture(scope="module")
def client(builtin: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{builtin.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client:
        yield client


def post(server: Server, body: Any, path: str = "/v1/audio/speech") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def decoded(data: bytes, rate: int = 24_000) -> PCM:
    """What a player makes of a file."""
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler("s16", "mono", rate)
        blocks = [block for frame in [*container.decode(audio=0), None] for block in resampler.resample(frame)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_openais_client_gets_the_samples_in_each_format(client: openai.OpenAI, name: Any) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="heart", input=TEXT, response_format=name, extra_body={"seed": 7}
    ) as response:
        assert response.headers["content-type"] == MEDIA_TYPES[name]
        data = b"".join(response.iter_bytes())
    expected = spoken(TEXT, seed=7)
    if name == "pcm":
        heard = np.frombuffer(data, "<i2")
    elif name == "wav":
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        heard = np.frombuffer(data[44:], "<i2")
    else:
        heard = decoded(data)
    if name in ("pcm", "wav", "flac"):
        np.testing.assert_array_equal(heard, expected)
    else:
        assert_same_sound(heard, expected)


def assert_same_sound(heard: PCM, expected: PCM) -> None:
    """Lossy formats put a constant delay before the sound, and fill the last frame."""
    assert 0 <= len(heard) - len(expected) <= 3000
    best = max(similarity(heard[delay:], expected) for delay in range(len(heard) - len(expected) + 1))
    assert best > 0.98


def similarity(heard: PCM, expected: PCM) -> float:
    return float(np.corrcoef(heard[: len(expected)], expected)[0, 1])


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_every_format_keeps_sound_of_every_rate_and_does_not_wait_for_the_end(name: str, rate: int) -> None:
    times = np.arange(2 * rate) / rate
    sound = np.sin(2 * np.pi * (200 + 300 * times) * times).astype(np.float32) / 2
    encoder = encoder_for(name)(rate)
    parts = [encoder.encode(block) for block in np.split(sound, 10)]
    assert sum(map(bool, parts)) >= 7, "it keeps the sound to itself"
    data = b"".join(parts) + encoder.finish()
    heard = np.frombuffer(data, "<i2") if name == "pcm" else decoded(data, rate)
    assert_same_sound(heard, np.rint(sound * 32767).astype(np.int16))


def test_events_have_the_sound_and_then_what_was_used(client: openai.OpenAI, builtin: Server) -> None:
    body = {"input": TEXT, "voice": {"id": "heart"}, "response_format": "pcm", "stream_format": "sse", "seed": 7}
    status, headers, data = post(builtin, body)
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in data.decode().split("\n\n") if line]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    heard = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    expected = spoken(TEXT, seed=7)
    np.testing.assert_array_equal(np.frombuffer(heard, "<i2"), expected)
    used = {"input_tokens": len(TEXT) - 1, "output_tokens": round(len(expected) / 960)}
    assert events[-1] == {"type": "speech.audio.done", "usage": {**used, "total_tokens": sum(used.values())}}


def test_speed_is_the_engines(client: openai.OpenAI) -> None:
    def length(speed: float) -> int:
        spoken = client.audio.speech.create(
            model="x", voice="heart", input=TEXT, response_format="pcm", speed=speed, instructions="Whisper."
        )
        return len(spoken.read())

    assert length(2) < 0.8 * length(1)


def test_an_engine_with_one_pace_is_stretched(tone: Server) -> None:
    def sound(**options: float) -> PCM:
        status, _, data = post(tone, {"input": TEXT, "response_format": "pcm", **options})
        assert status == 200
        return np.frombuffer(data, "<i2")

    assert len(sound(speed=2)) == pytest.approx(len(sound(speed=1)) / 2, abs=2)
    np.testing.assert_allclose(sound(volume=-20.0), sound() / 10, atol=1)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"voice": "alloy"}, "voice", "it has: heart"),
        ({"voice": 7}, "voice", ""),
        ({"response_format": "exe"}, "response_format", "'mp3'"),
        ({"speed": 9}, "speed", "less than or equal to 4"),
        ({"speed": 4}, None, "speed"),
        ({"stream_format": "tcp"}, "stream_format", ""),
        ({"input": None}, "input", ""),
        ({"input": " "}, None, "nothing"),
        ({"input": "x" * 100_001}, None, "longer than 100000"),
        ({"output": "/etc/passwd"}, "output", "there is no field 'output'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_is_a_400_with_its_name(
    client: openai.OpenAI, fields: dict[str, Any], param: str | None, words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(model="x", voice="heart", input="Hi.", extra_body=fields)
    error: Any = refused.value.body
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, None)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"input": "Hi."}', "application/x-www-form-urlencoded"),  # as `curl -d` sends it
        ("{", "application/json"),
        ("[]", "application/json"),
        ("", "application/json"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_what_to_send(builtin: Server, body: str, kind: str) -> None:
    connection = HTTPConnection("127.0.0.1", builtin.port, timeout=PATIENCE)
    connection.request("POST", "/v1/audio/speech", body, {"Content-Type": kind})
    response = connection.getresponse()
    message = json.loads(response.read())["error"]["message"]
    connection.close()
    assert (response.status, "Content-Type: application/json" in message) == (400, True)


@pytest.mark.parametrize("body", [None, [], "x", 7, {}])
def test_a_body_that_is_no_request_is_a_400(builtin: Server, body: object) -> None:
    status, _, data = post(builtin, body)
    assert (status, json.loads(data)["error"]["type"]) == (400, "invalid_request_error")


def test_models_and_voices_are_listed(client: openai.OpenAI, builtin: Server) -> None:
    assert [model.id for model in client.models.list()] == ["builtin"]
    listed: dict[str, Any] = {}
    for path in ("models", "voices"):  # as Open WebUI asks
        connection = HTTPConnection("127.0.0.1", builtin.port, timeout=PATIENCE)
        connection.request("GET", f"/v1/audio/{path}")
        listed |= json.loads(connection.getresponse().read())
        connection.close()
    assert {model["id"] for model in listed["models"]} == {"builtin"}
    assert {voice["id"]: voice["name"] for voice in listed["voices"]} == {"heart": "heart"}


def test_an_error_before_the_sound_has_a_status_and_one_within_it_cuts_the_body(tone: Server) -> None:
    with pytest.raises(IncompleteRead):
        post(tone, {"input": "This is good. This is bad.", "response_format": "pcm"})
    tone.wait_for_log("cut off: .*was bad")
    status, _, data = post(tone, {"input": "This is bad.", "response_format": "pcm", "stream_format": "sse"})
    assert status == 200
    assert "was bad" in json.loads(data.decode().split("data: ")[-1])["error"]["message"]
    with serving(engine="tests.sample_engines:RefusingEngine") as server:
        status, _, data = post(server, {"input": "Hi."})
        assert (status, "no such strategy" in json.loads(data)["error"]["message"]) == (400, True)


def test_who_leaves_frees_the_place_and_beyond_the_queue_is_a_429(slow: Server) -> None:
    request = json.dumps({"input": ENDLESS, "response_format": "pcm"}).encode()
    head = (
        "POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(request)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", slow.port), PATIENCE) as first:
        first.sendall(head.encode() + request)
        assert first.recv(15) == b"HTTP/1.1 200 OK"  # it has the place
        with slow.connect() as waiting:
            send(waiting, {"text": "Hi."}, {"type": "end"})
            waiting.recv(PATIENCE)  # the answer shows that the message before it was read
            status, headers, data = post(slow, {"input": "Hi."})
            assert (status, headers["retry-after"]) == (429, "2")
            assert json.loads(data)["error"]["type"] == "rate_limit_error"
            first.close()
            assert hear(waiting).last["state"] == "done"


def test_without_pyav_aac_is_a_400_that_says_what_to_install(tmp_path: Any) -> None:
    (tmp_path / "av.py").write_text("raise ImportError('No module named av')")
    with serving(PYTHONPATH=f"{tmp_path}:{ROOT}") as server:
        status, _, data = post(server, {"input": "Hi.", "response_format": "aac"})
        assert (status, "pip install '.[formats]'" in json.loads(data)["error"]["message"]) == (400, True)
        assert post(server, {"input": "Hi."})[0] == 200


def test_the_openapi_document_says_what_errors_there_are(builtin: Server) -> None:
    with urllib.request.urlopen(f"{builtin.url}/openapi.json", timeout=PATIENCE) as response:
        document = json.load(response)
    said = {
        f"{method} {path}": set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert said["post /v1/audio/speech"] == {"200", "400", "429", "503"}
    assert said["post /v1/audio/voices"] == {"200", "400", "403", "429", "503"}
    assert not any("422" in statuses for statuses in said.values())
