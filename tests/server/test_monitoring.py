"""`/metrics`, as Prometheus reads it."""

from __future__ import annotations

import urllib.request

from tests.harness import PATIENCE
from tests.server.serving import ENDLESS, Server, hear, say, send
from tests.server.test_openai_api import post


def test_what_was_spoken_and_what_failed_is_counted(tone: Server) -> None:
    before = tone.numbers()
    with tone.connect() as client:
        heard = [say(client, text="Hello there.") for _ in range(2)]
        say(client, text="This is bad.")
        say(client, text="")
        client.send("{")
        assert hear(client).last["type"] == "error"
        assert post(tone, {"input": ""})[0] == post(tone, {"input": 7})[0] == post(tone, [])[0] == 400
        tone.wait_for_log(r"(?s)(12 characters.*){2}")
    after = tone.numbers()

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("tts_ttfa_seconds_count") == more("tts_rtf_count") == 3
    assert more("tts_spoken_seconds_total") >= sum(len(each.sound) for each in heard) / 24_000
    assert more("tts_ttfa_seconds_sum") >= sum(each.last["first_audio_ms"] for each in heard) / 1000 - 0.001
    assert more("tts_errors_totalserver_error") == 1
    assert more("tts_errors_totalinvalid_request_error") == 5


def test_listeners_and_those_who_wait_are_seen(slow: Server) -> None:
    with slow.connect() as first, slow.connect() as second:
        send(first, {"text": ENDLESS})
        first.recv(PATIENCE)
        send(second, {"text": "Hi."}, {"type": "end"})
        second.recv(PATIENCE)  # the answer shows that the message before it was read
        seen = slow.numbers()
        assert (seen["tts_listeners"], seen["tts_waiting"]) == (1, 1)
        send(first, {"type": "cancel"})
        hear(first)
        hear(second)
        assert slow.numbers()["tts_waiting"] == 0


def test_it_tells_nothing_of_texts(tone: Server) -> None:
    with tone.connect() as client:
        say(client, text="Confidential.")
    with urllib.request.urlopen(f"{tone.url}/metrics", timeout=PATIENCE) as response:
        assert b"onfidential" not in response.read()
