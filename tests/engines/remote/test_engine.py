"""Speech servers as an engine: servers that speak each dialect, as their documentation has it, and our own."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import tts_cli
from tests.engines.remote.stub import Answer, answer, chunked, listed, stub
from tests.given import Given
from tests.harness import PATIENCE, Run, complaint
from tests.server.serving import Server, serving
from tts_cli.audio import Samples, to_pcm16
from tts_cli.engines.options import SpeakOptions
from tts_cli.engines.remote.engine import OPENAI, RemoteEngine
from tts_cli.engines.remote.options import RemoteSettings
from tts_cli.engines.remote.servers import RESTS, Servers
from tts_cli.errors import MissingError, TTSError, UsageError

SOUND = np.sin(np.arange(12_000) / 20).astype(np.float32) / 2
PCM = to_pcm16(SOUND).tobytes()


def spoken(*urls: str, text: tuple[str, ...] = ("It rains.",), options: SpeakOptions | None = None) -> Samples:
    engine = RemoteEngine(RemoteSettings(",".join(urls)))
    try:
        chunks = list(engine.stream(Given(*text), engine.voices()[0], options or SpeakOptions()))
    finally:
        engine.close()
    return np.concatenate([chunk.samples for chunk in chunks])


def events(*kinds: dict[str, object], named: bool) -> bytes:
    """Server-sent events; `named`: with a line `event:`, as vLLM-Omni writes them."""
    lines = [f"event: {kind['type']}\n" * named + f"data: {json.dumps(kind)}\n\n" for kind in kinds]
    return "".join(lines).encode()


def delta(data: bytes) -> dict[str, object]:
    return {"type": "speech.audio.delta", "audio": base64.b64encode(data).decode(), "response_format": "pcm"}


DONE: dict[str, object] = {"type": "speech.audio.done", "usage": {"total_tokens": 9}}
SSE = "text/event-stream; charset=utf-8"
DIALECTS: dict[str, Answer] = {
    "OpenAI, raw": chunked(PCM[:5001], PCM[5001:]),
    "Kokoro-FastAPI, raw": chunked(PCM[:1], PCM[1:2], PCM[2:], kind="audio/pcm"),
    "vLLM-Omni, raw": answer(PCM, "audio/pcm"),
    "no type": answer(PCM, "application/octet-stream"),
    "OpenAI, events": chunked(events(delta(PCM[:4000]), delta(PCM[4000:]), DONE, named=False), kind=SSE),
    "vLLM-Omni, events": chunked(events(delta(PCM), DONE, named=True), kind="text/event-stream"),
    "events with an end of their own": chunked(events(delta(PCM), DONE, named=False) + b"data: [DONE]\n\n", kind=SSE),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_understood(dialect: str) -> None:
    with stub(DIALECTS[dialect]) as server:
        found = spoken(server.url)
    np.testing.assert_allclose(found, SOUND, atol=1 / 32768)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, len(PCM) - 1), max_size=6, unique=True), as_events=st.booleans())
def test_sound_may_be_cut_anywhere(cuts: list[int], as_events: bool) -> None:
    bounds = [0, *sorted(cuts), len(PCM)]
    pieces = [PCM[begin:end] for begin, end in itertools.pairwise(bounds)]
    if as_events:
        body = events(*map(delta, pieces), DONE, named=True)
        pieces = [body[at : at + 3000] for at in range(0, len(body), 3000)]
    with stub(chunked(*pieces, kind=SSE if as_events else "audio/pcm")) as server:
        np.testing.assert_allclose(spoken(server.url), SOUND, atol=1 / 32768)


def test_another_rate_is_resampled() -> None:
    for kind, headers in (("audio/pcm; rate=48000", {}), ("audio/pcm", {"X_Sample_Rate": "48000"})):
        with stub(answer(to_pcm16(np.repeat(SOUND, 2)).tobytes(), kind, **headers)) as server:
            found = spoken(server.url)
        assert len(found) == pytest.approx(len(SOUND), abs=2)
        assert np.abs(found[500:10_000] - SOUND[500:10_000]).max() < 0.02


def test_sound_is_heard_before_the_server_has_all_of_it() -> None:
    with stub(chunked(PCM[:9600], PCM[9600:]), waits=True) as server:
        engine = RemoteEngine(RemoteSettings(server.url))
        chunks = engine.stream(Given("It rains."), "alloy", SpeakOptions())
        first = next(chunks)
        assert first.samples.tobytes() == (np.frombuffer(PCM[:9600], "<i2") / 32768).astype(np.float32).tobytes()
        server.going_on.set()
        assert sum(len(chunk.samples) for chunk in chunks) == len(SOUND) - 4800
        engine.close()


def test_the_next_segment_is_asked_for_while_one_is_given() -> None:
    with stub(chunked(PCM[:9600], PCM[9600:]), waits=True) as server:
        engine = RemoteEngine(RemoteSettings(server.url))
        chunks = engine.stream(Given("One.", "Two."), "alloy", SpeakOptions())
        next(chunks)
        asking = threading.Thread(target=lambda: next(chunks))
        asking.start()
        while len(server.spoken) < 2:  # ends when the second request has come, or with the test's patience
            assert asking.is_alive()
        server.going_on.set()
        asking.join(PATIENCE)
        chunks.close()
        engine.close()
    assert [fields["input"] for fields in server.spoken] == ["One.", "Two."]


def test_what_it_is_asked_for() -> None:
    models = listed({"data": [{"id": "whisper-1"}, {"id": "tts-1-hd"}]})
    with stub(answer(PCM), voices=listed({"voices": ["vivian"]}), models=models) as server:
        spoken(server.url + "/v1/", options=SpeakOptions(speed=1.25))
    expected = {"model": "tts-1-hd", "input": "It rains.", "voice": "vivian", "speed": 1.25}
    assert server.spoken == [expected | {"response_format": "pcm", "stream_format": "audio"}]


@pytest.mark.parametrize(
    "voices",
    [
        {"voices": ["b", "a"]},
        {"voices": [{"id": "b", "name": "B"}, {"id": "a"}]},
        {"voices": ["b", "a"], "uploaded_voices": []},
        {"data": [{"voice_id": "b"}, {"name": "a"}]},
        ["b", "a"],
    ],
)
def test_voices_are_listed_in_each_way(voices: object) -> None:
    with stub(answer(PCM), voices=listed(voices)) as server:
        assert RemoteEngine(RemoteSettings(server.url)).voices() == ["b", "a"]


def test_a_server_that_lists_none_has_those_of_openai() -> None:
    with stub(answer(PCM)) as server:
        assert RemoteEngine(RemoteSettings(server.url)).voices() == list(OPENAI)


WRONG: dict[str, tuple[Answer, str]] = {
    "another format": (answer(b"ID3", "audio/mpeg"), "answers with audio/mpeg, not with PCM"),
    "an error of OpenAI": (
        answer(b'{"error": {"message": "no such voice"}}', "application/json", "400 Bad Request"),
        r"refuses \(400\): no such voice",
    ),
    "an error of FastAPI": (
        answer(b'{"detail": [{"msg": "Field required"}]}', "application/json", "422 Unprocessable Content"),
        r"refuses \(422\): Field required",
    ),
    "a page": (answer(b"<html>\nNo</html>", "text/html", "502 Bad Gateway"), r"refuses \(502\): <html> ?.?No"),
    "an error event": (
        chunked(events({"type": "speech.audio.error", "error": {"message": "out of memory"}}, named=True), kind=SSE),
        "says: out of memory",
    ),
    "events that are none": (chunked(b"data: {\n\n", kind=SSE), "none of the speech API"),
    "sound that is none": (
        chunked(events({"type": "speech.audio.delta", "audio": "§"}, named=False), kind=SSE),
        "none of",
    ),
    "a rate that is none": (answer(PCM, "audio/pcm; rate=fast"), "a rate of 'fast'"),
    "a redirect": (
        answer(b"", "text/html", "307 Temporary Redirect", Location="http://elsewhere/"),
        "sends on to http://elsewhere/; name that server",
    ),
    "a key": (answer(b"", "text/html", "401 Unauthorized"), "TTS_SERVER_KEY"),
    "nothing at all": ([], "broke off"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str) -> None:
    wrong, says = WRONG[case]
    with stub(wrong) as server, pytest.raises(TTSError, match=says):
        spoken(server.url)


CUT = {
    "raw": chunked(PCM[:9600], whole=False),
    "by length": [answer(PCM)[0], PCM[:9600]],
    "events": chunked(events(delta(PCM[:9600]), named=True), kind=SSE),
}


@pytest.mark.parametrize("way", CUT)
def test_a_server_that_breaks_off_is_not_asked_again(way: str) -> None:
    with stub(CUT[way]) as first, stub(answer(PCM)) as second:
        engine = RemoteEngine(RemoteSettings(f"{first.url},{second.url}"))
        chunks = engine.stream(Given("It rains."), "alloy", SpeakOptions())
        assert len(next(chunks).samples) > 0
        with pytest.raises(TTSError, match=r"broke off|before the speech was complete"):
            list(chunks)
        engine.close()
    assert len(first.spoken) == 1
    assert second.spoken == []


def test_another_server_speaks_for_one_that_fails_before_its_first_sound() -> None:
    with stub(answer(b"", status="500 No")) as first, stub([]) as second, stub(answer(PCM)) as third:
        found = spoken(first.url, second.url, third.url, text=("One.", "Two."))
    np.testing.assert_allclose(found, np.tile(SOUND, 2), atol=1 / 32768)
    assert [len(each.spoken) for each in (first, second, third)] == [1, 1, 2], "who has failed is asked last"


def test_a_busy_server_is_asked_again() -> None:
    busy = answer(b'{"error": {"message": "all places are taken"}}', "application/json", "429 Busy", Retry_After="0")
    with stub(busy, busy, answer(PCM)) as server:
        np.testing.assert_allclose(spoken(server.url), SOUND, atol=1 / 32768)
    with stub(busy) as server, pytest.raises(TTSError, match=r"is busy \(all places are taken\); try again later"):
        spoken(server.url)
    assert len(server.spoken) == 3


def test_requests_go_to_the_server_with_the_fewest() -> None:
    now = 0.0
    servers = Servers(["a", "b", "c"], lambda: now)
    with servers.asked() as first, servers.asked() as second, servers.asked() as third, servers.asked() as fourth:
        assert [each.url for each in (first, second, third, fourth)] == ["a", "b", "c", "a"]
        servers.failed(servers.all[1])
    with servers.asked() as first, servers.asked() as second, servers.asked() as third:
        assert [each.url for each in (first, second, third)] == ["a", "c", "a"]
    now = RESTS
    with servers.asked() as first, servers.asked() as second:
        assert [each.url for each in (first, second)] == ["a", "b"]


def test_the_key_goes_to_the_named_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_SERVER_KEY", "secret")
    with stub(answer(PCM)) as other:
        moved = answer(b"", status="308 Moved", Location=f"{other.url}/v1/audio/speech")
        with stub(moved) as server, pytest.raises(UsageError, match="name that server itself"):
            spoken(server.url)
    assert {headers["authorization"] for _, headers, _ in server.asked} == {"bearer secret"}
    assert other.asked == []


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8765", "ftp://a", "http://", "http://a:port", "http://u:p@a", "http://a/?b"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match=r"address|password"):
        RemoteSettings(url)


def test_servers_that_do_not_answer() -> None:
    with pytest.raises(MissingError, match="cannot be reached; start it"):
        RemoteEngine(RemoteSettings("http://127.0.0.1:1"))


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    with serving(engine="builtin") as server:
        yield server


def test_our_own_server_gives_the_sound_of_its_engine(ours: Server) -> None:
    text = "The ferry was late again. Nobody hurried, and nobody minded."
    with tts_cli.load("builtin") as tts, tts_cli.load("remote", server=ours.url) as remote:
        assert remote.voices() == tts.voices()
        expected = np.concatenate([chunk.samples for chunk in tts.stream("Nobody hurried.")])
        found = np.concatenate([chunk.samples for chunk in remote.stream("Nobody hurried.")])
        assert len(found) == len(expected)
        assert np.abs(found - expected).max() < 1 / 16_384
        numbers = [chunk.segment.number for chunk in remote.stream(text)]
    assert sorted(set(numbers)) == [0, 1]
    assert numbers == sorted(numbers)


def test_on_the_command_line(ours: Server, tts: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    done = tts("speak", "It rains. It pours.", "--server", ours.url, "-o", "x.wav", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["engine"], told["voice"]) == ("remote", "heart")
    assert soundfile.info(tmp_path / "x.wav").duration == pytest.approx(told["delivered_ms"] / 1000, abs=0.01)
    assert "no voice 'x'" in complaint(tts("speak", "Hi.", "--server", ours.url, "--voice", "x", "-o", "y.wav"))
    seeded = ("speak", "Hi.", "--engine", "remote", "--server", ours.url, "--seed", "1", "-o", "y.wav")
    assert "the engine remote has no option --seed" in complaint(tts(*seeded))
    environment["TTS_SERVER"] = ours.url
    assert tts("speak", "Hi.", "--engine", "remote", "-o", "z.wav", "-q").returncode == 0
    del environment["TTS_SERVER"]
    unnamed = tts("speak", "Hi.", "--engine", "remote", "-o", "y.wav")
    assert unnamed.returncode == 3
    assert "no speech server is named; give its address with --server" in complaint(unnamed)
