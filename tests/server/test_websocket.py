"""The WebSocket protocol: the prototype's, and what clients can do beyond it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection

from tests.harness import PATIENCE
from tests.server.serving import ENDLESS, Server, hear, say, send, spoken


@pytest.mark.parametrize("path", ["/ws/tts", "/ws/tts/simple"])
def test_the_prototypes_client_gets_what_it_got(builtin: Server, path: str) -> None:
    """Binary chunks, then one JSON; the same samples as without a server."""
    with builtin.connect(path) as client:
        heard = say(client, text="It rains. It pours.", tokens_per_chunk=5, seed=7)
    np.testing.assert_array_equal(heard.sound, spoken("It rains. It pours.", chunk=5, seed=7))
    (numbers,) = heard.events
    assert numbers["audio_duration_ms"] == pytest.approx(len(heard.sound) / 24, abs=0.1)
    assert numbers["tokens_generated"] == round(len(heard.sound) / 960)
    assert numbers["sample_rate"] == 24_000
    assert 0 < numbers["first_audio_ms"] <= numbers["total_time_ms"]
    assert numbers["rtf"] > 0
    assert numbers["chunks"] > 1


def test_an_utterance_follows_the_other_on_one_connection(builtin: Server) -> None:
    with builtin.connect() as client:
        for seed in (1, 2):
            send(client, {"text": "Hello.", "seed": seed})
        for seed in (1, 2):
            np.testing.assert_array_equal(hear(client).sound, spoken("Hello.", seed=seed))


def test_speed_and_volume_are_fields(tone: Server) -> None:
    with tone.connect() as client:
        send(client, {"text": "It rains."}, {"text": "It rains.", "speed": 0.5, "volume": -20, "normalize": False})
        plain, other = hear(client), hear(client)
    assert len(other.sound) == 2 * len(plain.sound)
    assert other.last["audio_duration_ms"] == pytest.approx(2 * plain.last["audio_duration_ms"], abs=0.1)
    assert np.abs(other.sound).max() == pytest.approx(np.abs(plain.sound).max() / 10, rel=0.02)


def test_text_comes_in_pieces_and_segments_go_out(tone: Server) -> None:
    first: list[Any] = []
    with tone.connect() as client:
        send(client, {"type": "text", "text": "It ra", "chunk": 5})
        for piece in ("ins. It", " pours. "):
            send(client, {"type": "text", "text": piece})
        while len(first) < 3:  # sound comes before the text has ended
            first.append(client.recv(PATIENCE))
        send(client, {"type": "text", "text": "Bye now"}, {"type": "end"})
        heard = hear(client)
    begin, segment, sound = first
    assert json.loads(begin) == {"type": "start", "sample_rate": 24_000, "format": "pcm_s16le", "channels": 1}
    assert json.loads(segment) == {"type": "segment", "number": 0, "text": "It rains.", "start_ms": 0.0}
    assert len(sound) == 2 * 4800
    assert heard.segments == ["It pours.", "Bye now"]
    second = next(event for event in heard.events if event.get("number") == 1)
    assert second["start_ms"] == 650.0
    assert heard.last["state"] == "done"
    assert heard.last["chunks"] == heard.last["audio_duration_ms"] // 200 + 2


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not an object"),
        (b"\x00\x01", "binary"),
        ("{}", "no text"),
        ('{"text": 7}', "no text"),
        ('{"text": "..."}', "nothing to speak"),
        ('{"text": "\\ud800 x"}', "not valid UTF-8"),
        ('{"type": "text", "text": "\\ud800 x"}', "half a character"),
        ('{"text": "x", "voice": "nobody"}', "no voice 'nobody'"),
        ('{"text": "x", "voice": "../../etc/passwd"}', "no voice"),
        ('{"text": "x", "voice": {}}', "voice cannot be {}"),
        ('{"text": "x", "output": "/tmp/x.wav"}', "no field 'output'"),
        ('{"text": "x", "sink": null}', "no field 'sink'"),
        ('{"text": "x", "chunk": 0}', "chunk cannot be 0"),
        ('{"text": "x", "tokens_per_chunk": "ten"}', "chunk cannot be 'ten'"),
        ('{"text": "x", "seed": NaN}', "seed cannot be nan"),
        ('{"text": "x", "seed": %s}' % ("9" * 4000), "seed cannot be so long a value"),
        ('{"type": "dance"}', "no such type"),
        ('{"type": ["speak"]}', "no such type"),
        ('{"type": "end"}', "no text to end"),
        ('{"type": "pause"}', "nothing is being spoken"),
        ('{"type": "skip", "by": -1}', "by cannot be -1"),
        ('{"type": "cancel", "all": 1}', "no such field"),
        (json.dumps({"text": "x" * 100_001}), "longer than 100000 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_message_is_answered_and_the_connection_goes_on(tone: Server, message: str | bytes, words: str) -> None:
    with tone.connect() as client:
        client.send(message)
        assert words in hear(client).last["error"]["message"]
        assert say(client, text="Hi.").last["state"] == "done"


def test_a_text_in_pieces_has_a_limit(tone: Server) -> None:
    with tone.connect() as client:
        send(client, *[{"type": "text", "text": f"Hi.{' ' * 60_000}"}] * 2, {"type": "end"})
        assert "longer than 100000 characters" in hear(client).last["error"]["message"]
        assert hear(client).last["state"] == "done"  # what came before that


def test_a_message_that_is_too_large_closes_the_connection(tone: Server) -> None:
    with socket.create_connection(("127.0.0.1", tone.port), PATIENCE) as client:
        opening = "GET /ws/tts HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        client.sendall(f"{opening}Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        reader = client.makefile("rb")
        while reader.readline() != b"\r\n":
            pass
        # The head of a frame that promises 2 MB: the server reads no more, so nothing more is sent.
        client.sendall(b"\x81\xff" + (2_000_000).to_bytes(8, "big") + b"mask")
        frame = reader.read(4)
        assert (frame[0], int.from_bytes(frame[2:], "big")) == (0x88, 1009)
    with tone.connect() as other:
        assert say(other, text="Hi.").last["state"] == "done"


def test_cancel_ends_what_is_spoken_and_what_waits(slow: Server) -> None:
    with slow.connect() as client:
        send(client, {"type": "speak", "text": ENDLESS}, {"text": "Not this."})
        while isinstance(client.recv(PATIENCE), str):
            pass
        send(client, {"type": "cancel"})
        spoken, waited = hear(client), hear(client)
        assert (spoken.last["state"], waited.last["state"]) == ("cancelled", "cancelled")
        assert not len(waited.sound)
        assert say(client, text="Hi.").last["state"] == "done"


def test_nothing_comes_during_a_pause(slow: Server) -> None:
    with slow.connect() as client:
        send(client, {"text": "Hello there."})
        client.recv(PATIENCE)
        send(client, {"type": "pause"})
        say_error_after_sound(client)
        with pytest.raises(TimeoutError):
            client.recv(0.5)  # in which five chunks would come
        send(client, {"type": "resume"})
        assert hear(client).last["audio_duration_ms"] == 850


def test_what_is_computed_already_does_not_come_during_a_pause(tone: Server) -> None:
    with tone.connect() as client:
        send(client, {"text": ENDLESS})
        client.recv(PATIENCE)
        send(client, {"type": "pause"})
        say_error_after_sound(client)
        for _ in range(20):  # the server has time for each, and sends nothing else
            send(client, {"type": "end"})
            message = client.recv(PATIENCE)
            assert isinstance(message, str), "sound"
        send(client, {"type": "resume"})
        assert isinstance(client.recv(PATIENCE), bytes)


def test_what_waits_for_the_connection_stays_during_a_pause(tone: Server) -> None:
    with tone.connect() as lazy, tone.connect() as eager:
        send(lazy, {"text": ENDLESS})
        lazy.recv(PATIENCE)
        for _ in range(20):  # meanwhile, sound waits for the one who does not read
            say(eager, text="Hi.")
        send(lazy, {"type": "pause"})
        say_error_after_sound(lazy)
        for _ in range(20):  # the connection has room again, and nothing comes
            send(lazy, {"type": "end"})
            assert not len(hear(lazy).sound)
        send(lazy, {"type": "resume"})
        assert isinstance(lazy.recv(PATIENCE), bytes)


def say_error_after_sound(client: ClientConnection) -> None:
    """The answer to a message shows that those before it were read."""
    send(client, {"type": "end"})
    assert "no text to end" in hear(client).last["error"]["message"]


def test_options_of_the_command_line_are_the_defaults_of_requests(slow: Server) -> None:
    with slow.connect() as client:
        send(client, {"text": "Hi."}, {"text": "Hi.", "chunk": 2})
        assert len(client.recv(PATIENCE)) == 2 * 960
        hear(client)
        assert len(client.recv(PATIENCE)) == 2 * 1920
        hear(client)


def test_skip_goes_to_the_next_segment(slow: Server) -> None:
    with slow.connect() as client:
        send(client, {"type": "speak", "text": f"{'On and on ' * 25}it goes. The end."})
        while isinstance(client.recv(PATIENCE), str):
            pass
        send(client, {"type": "skip"})
        heard = hear(client)
        assert heard.segments == ["The end."]
        assert heard.last["state"] == "done"


def test_a_failing_engine_is_told(tone: Server) -> None:
    with tone.connect() as client:
        heard = say(client, text="This is good. This is bad. So is this.", type="speak")
        assert heard.last["type"] == "error"
        assert "was bad" in heard.last["error"]["message"]
        assert heard.last["error"]["type"] == "server_error"
        assert heard.segments == ["This is good.", "This is bad.", "So is this."]
        assert say(client, text="Hi.").last["state"] == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_slow_reader_slows_only_itself(tone: Server) -> None:
    with tone.connect() as lazy, tone.connect() as eager:
        say(eager, text="Hi.")
        before = memory(tone)
        send(lazy, {"text": ENDLESS * 20})  # 230 MB of sound
        lazy.recv(PATIENCE)
        for _ in range(150):  # in which an unbounded queue grows by 30 MB and more
            assert say(eager, text="Hello there.").last["state"] == "done"
        assert memory(tone) - before < 20_000
    tone.wait_for_log(r"WS /ws/tts .* \d{6,} bytes")


def memory(server: Server) -> int:
    """KiB that the server has in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


KINDS = ["speak", "text", "end", "cancel", "pause", "resume", "skip", "x", None, 7]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["text", "voice", "seed", "chunk", "mode", "speed", "pause", "by", "type", "output"])
OBJECTS = st.builds(
    lambda kind, fields: {"type": kind} | fields, st.sampled_from(KINDS), st.dictionaries(NAMES, VALUES, max_size=3)
)
FRAMES = OBJECTS.map(json.dumps) | VALUES.map(json.dumps) | st.text() | st.binary(max_size=50)


@settings(max_examples=30)
@given(frames=st.lists(FRAMES, min_size=5, max_size=20))
def test_no_messages_break_the_server(tone: Server, frames: list[str | bytes]) -> None:
    with tone.connect() as client:
        for frame in frames:
            client.send(frame)
    with tone.connect() as client:
        assert say(client, text="Hi.").last["state"] == "done"
