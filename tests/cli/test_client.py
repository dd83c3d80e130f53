"""`tts client` against a real server."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.harness import PATIENCE, ROOT, TTS, Run, clean_environment, complaint
from tests.loudspeaker import Speaker, despite_stalls, gaps
from tests.server.serving import SLOW, Server, serving, spoken

TEXT = "It rains. It pours."


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(engine="builtin") as server:
        yield server


def url(server: Server) -> str:
    return server.url.replace("http", "ws", 1)


def test_it_writes_the_samples_and_shows_both_ends(tts: Run, server: Server, tmp_path: Path) -> None:
    done = tts("client", url(server), TEXT, "--seed", "7", "--chunk", "5", "-o", "a.wav", "--compare")
    assert done.returncode == 0, done.stderr
    sound, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    expected = spoken(TEXT, seed=7, chunk=5)
    np.testing.assert_array_equal(sound, expected)
    assert rate == 24_000
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert lines[0] == ["streaming", "server", "streaming", "client", "simple", "server", "simple", "client"]
    cells = {line[0]: line[-4:] for line in lines[1:]}
    assert cells["sound,"] == [str(round(len(expected) / 24, 1))] * 4
    assert cells["KB"][-2:] == [str(round(len(expected) / 500, 1))] * 2
    streaming, simple = (float(cells["first"][at]) / float(cells["total,"][at]) for at in (0, 2))
    assert streaming < simple, "simple computes everything before the first sound"


def test_the_speed_is_the_servers(tts: Run, server: Server, tmp_path: Path) -> None:
    done = tts("client", url(server), TEXT, "--seed", "7", "--speed", "1.5", "-o", "a.wav")
    assert done.returncode == 0, done.stderr
    sound, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    np.testing.assert_array_equal(sound, spoken(TEXT, seed=7, speed=1.5))
    refused = tts("client", url(server), TEXT, "--speed", "3", "-o", "a.wav")
    assert (refused.returncode, "--speed" in complaint(refused)) == (2, True)


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("http://localhost", 2, "write it as ws://"),
        ("ws://", 2, "write it as ws://"),
        ("ws://[", 2, "write it as ws://"),
        ("ws://127.0.0.1:99999", 2, "write it as ws://"),
        ("ws://no.such.host.invalid", 1, "is `tts serve` running there?"),
    ],
)
def test_a_bad_address_is_one_line(tts: Run, address: str, code: int, words: str) -> None:
    refused = tts("client", address, "Hi.", "-o", "a.wav")
    assert (refused.returncode, words in complaint(refused)) == (code, True), refused.stderr


def test_a_refusal_is_one_line_and_leaves_no_file(tts: Run, server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for address, more, code, words in (
        (url(server), ["--voice", "nobody"], 2, "no voice 'nobody'"),
        (f"{url(server)}/nope", [], 2, "403"),
        (f"ws://127.0.0.1:{port}", [], 1, "is `tts serve` running there?"),
    ):
        refused = tts("client", address, "Hi.", "-o", "a.wav", *more)
        assert (refused.returncode, words in complaint(refused)) == (code, True), refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_too_long_for_a_server_is_one_line(tts: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("long " * 30_000)
    refused = tts("client", url(server), "-f", "long.txt", "-o", "a.wav")
    assert (refused.returncode, "longer than 100000 characters" in complaint(refused)) == (2, True)


def test_a_file_is_sent_whole_and_a_pipe_while_it_arrives(tts: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    assert tts("client", url(server), "-f", "a.txt", "--seed", "7", "-o", "a.wav").returncode == 0
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], spoken(TEXT, seed=7))
    command = [*TTS, "client", url(server), "-o", str(tmp_path / "b.wav")]
    with (
        subprocess.Popen(
            command, env=clean_environment(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b"It rains. It")
        process.stdin.flush()
        # Sound comes before the text has ended: the draft of the file is there.
        deadline = time.monotonic() + PATIENCE
        while not list(tmp_path.glob(".tts-*")):
            assert time.monotonic() < deadline
        process.stdin.write(b" pours.")
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert len(soundfile.read(tmp_path / "b.wav")[0]) > 24_000


@pytest.mark.parametrize(
    ("arguments", "given", "code", "words"),
    [
        (["Hi.", "-f", "a.txt"], b"", 2, "give one of them"),
        (["-f", "none.txt"], b"", 2, "cannot read none.txt"),
        (["Hi.", "-o", "-"], b"", 2, "use -o FILE"),
        (["-o", "a.wav"], b"", 2, "nothing to speak"),
        (["-o", "a.wav"], b"It rains. \xff", 2, "is not UTF-8 text (byte 10)"),
        (["-o", "a.wav", "-f", "/dev/null/x"], b"", 2, "cannot read /dev/null/x"),
    ],
)
def test_a_text_that_cannot_be_sent_is_one_line_and_leaves_no_file(
    tts: Run, server: Server, tmp_path: Path, arguments: list[str], given: bytes, code: int, words: str
) -> None:
    refused = tts("client", url(server), *arguments, input=given)
    assert (refused.returncode, words in complaint(refused)) == (code, True), refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.speaker
@despite_stalls
def test_it_is_heard(speaker: Speaker, server: Server) -> None:
    with speaker.recording() as recording:
        command = [*TTS, "client", url(server), TEXT, "--seed", "7"]
        subprocess.run(command, env=speaker.environment, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    assert gaps(recording.samples, spoken(TEXT, seed=7)) == []


def test_ctrl_c_ends_it_and_frees_the_place(tmp_path: Path) -> None:
    with serving("--chunk", "1", engine=SLOW) as slow:
        command = [*TTS, "client", url(slow), "And so on. " * 200, "-o", str(tmp_path / "a.wav")]
        with subprocess.Popen(
            command, env=clean_environment(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            wait_for_listeners(slow, 1)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()
        wait_for_listeners(slow, 0)


def wait_for_listeners(server: Server, listeners: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while server.numbers()["tts_listeners"] != listeners:
        assert time.monotonic() < deadline
