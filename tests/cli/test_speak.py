"""The command line as its users meet it: real processes, real pipes, bad input."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import warm
from tests.conftest import GET_CHATTERBOX
from tests.harness import PATIENCE, TTS, Run, complaint

BUILTIN = ("--engine", "builtin")


def test_a_closed_pipe(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{' '.join(TTS)} speak -f long.txt --engine builtin -o - | head -c 100 | wc -c; echo ${{PIPESTATUS[0]}}"
    (tmp_path / "long.txt").write_text("This sentence is long enough to be heard. " * 100)
    result = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=True
    )
    assert result.stdout.split() == [b"100", b"1"]
    assert "was closed" in complaint(result)


PICKY = ("--engine", "tests.sample_engines:PickyEngine")


def test_the_fallback_is_written_where_nothing_can_play(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "Hello, world.", "--fallback", "speech.wav")
    assert result.returncode == 0
    assert b"writing speech.wav instead" in result.stderr
    sound, rate = soundfile.read(tmp_path / "speech.wav")
    assert rate == 24_000
    assert len(sound) > 12_000


def test_the_same_text_from_everywhere_gives_the_same_sound(tts: Run, tmp_path: Path) -> None:
    text = "The first one. Is this the second? Yes!"
    (tmp_path / "text").write_text(text)
    sounds = [
        tts("speak", text, "-o", "-").stdout,
        tts("speak", "-f", "text", "-o", "-").stdout,
        tts("speak", "-o", "-", input=text.encode()).stdout,
        tts("speak", "-", "-o", "-", input=text.encode()).stdout,
        tts("speak", "-f", "-", "-o", "-", input=text.encode()).stdout,
        tts("speak", text, "-o", "-", "--mode", "simple").stdout,
    ]
    assert len(sounds[0]) > 50_000
    assert all(sound == sounds[0] for sound in sounds)
    raw = tts("speak", text, "-o", "-", "--raw").stdout
    assert raw == sounds[0][44:]
    tts("speak", text, "-o", "x.wav")
    smaller = tts("speak", text, "-o", "-", "--raw", "--chunk", "1").stdout
    difference = np.frombuffer(smaller, "<i2").astype(int) - np.frombuffer(raw, "<i2")
    assert np.abs(difference).max() <= 1
    written, _ = soundfile.read(tmp_path / "x.wav", dtype="int16")
    assert np.array_equal(written, np.frombuffer(raw, "<i2"))


def test_the_first_sentence_sounds_before_the_second_is_written(environment: dict[str, str]) -> None:
    with warm.popen(
        [*TTS, "speak", "-o", "-", "--raw", "-q"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"First sentence.\n")
        process.stdin.flush()
        first = process.stdout.read(9600 * 2)
        assert any(first)
        process.stdin.write(b"Second one.\n")
        process.stdin.close()
        rest = process.stdout.read()
    assert len(rest) > 9600
    assert process.returncode == 0


def test_markdown_is_spoken_as_the_text_that_it_shows(tts: Run, tmp_path: Path) -> None:
    def sound(*arguments: str, given: str = "") -> bytes:
        return tts("speak", *arguments, "-o", "-", "--raw", *BUILTIN, input=given.encode()).stdout

    shown, light, table = "It rains, Ann: Bob.", "It *rains*, [Ann](https://a.b): **Bob**.", "|Ann|\n|-|\n|Bob|\n"
    spoken = sound(shown)
    assert spoken
    assert sound(light) == sound(given=light) == spoken
    (tmp_path / "table.md").write_text(table)
    row = sound("Ann: Bob.")
    assert sound("-f", "table.md") == sound("--format", "markdown", given=table) == row
    code = "```sh\nAnn\n```"
    assert sound(code) == sound("Code block in Bash.") != sound(code, "--format", "plain")
    assert sound(code, "--code", "speak") == sound(code, "--code", "speak", "--format", "markdown") == sound("Ann")


def test_a_paragraph_of_markdown_sounds_before_the_next_is_written(environment: dict[str, str]) -> None:
    command = [*TTS, "speak", "--format", "markdown", "-o", "-", "--raw", "-q"]
    with warm.popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"# A *heading* without a mark\n")
        process.stdin.flush()
        assert any(process.stdout.read(9600 * 2))
        process.stdin.write(b"- An item\n- Another\n")
        process.stdin.close()
        assert len(process.stdout.read()) > 9600
    assert process.returncode == 0


def test_the_first_bytes_leave_with_the_first_chunk(environment: dict[str, str]) -> None:
    command = [*TTS, "speak", "word " * 50, "--engine", "tests.sample_engines:SlowEngine", "-o", "-", "-q"]
    with warm.popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(44 + 9600 * 2)) == 44 + 9600 * 2
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_interrupted_file_is_whole_and_the_rest_is_silent(environment: dict[str, str], tmp_path: Path) -> None:
    command = [*TTS, "speak", "word " * 50, "--engine", "tests.sample_engines:SlowEngine", "-o", "x.flac"]
    with warm.popen(
        command, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        grown = threading.Event()
        while not grown.is_set():
            parts = list(tmp_path.glob(".*.part"))
            if parts and parts[0].stat().st_size > 0:
                grown.set()
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read().startswith(b"interrupted")
    sound, _ = soundfile.read(tmp_path / "x.flac")
    assert len(sound) % 9600 == 0
    assert 0 < len(sound) < 17 * 24_000
    assert [path.name for path in tmp_path.iterdir()] == ["x.flac"]


def test_json_tells_what_happened(tts: Run) -> None:
    result = tts("speak", "Hello, world. How are you?", "-o", "x.wav", "--json", "--quiet")
    assert result.stderr == b""
    report = json.loads(result.stdout)
    assert report["mode"] == "streaming"
    assert (report["engine"], report["voice"], report["output"]) == ("builtin", "heart", "x.wav")
    assert report["text_chars"] == 25
    assert report["chunks"] >= 4
    assert 0 < report["ttfa_ms"] <= report["total_ms"]
    assert report["cold_start_ms"] > report["ttfa_ms"]
    assert report["rtf"] == pytest.approx(report["compute_ms"] / report["audio_ms"], rel=0.01)
    assert report["starved_frames"] == 0


def test_simple_mode_gives_nothing_before_everything(tts: Run) -> None:
    streaming, simple = (
        json.loads(tts("speak", "A sentence. " * 20, "-o", "x.wav", "--json", "--mode", mode).stdout)
        for mode in ("streaming", "simple")
    )
    assert simple["ttfa_ms"] > 0.9 * simple["compute_ms"]
    assert streaming["ttfa_ms"] < 0.5 * streaming["compute_ms"]


def test_no_control_codes_where_no_terminal_is(tts: Run) -> None:
    result = tts("speak", "Hello.", "-o", "x.wav", *BUILTIN)
    assert b"\x1b" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert tts("speak", "Hello.", "-o", "x.wav", "--quiet").stderr == b""


def test_a_ten_megabyte_line_is_spoken_from_its_start(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "line").write_text("never ending " * 800_000)
    command = [*TTS, "speak", "-f", "line", "-o", "-", "--raw", "-q"]
    with warm.popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(480_000)) == 480_000
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_voices_are_listed(tts: Run) -> None:
    assert b"heart" in tts("voice", "list").stdout
    info = tts("voice", "info", "heart").stdout.decode()
    assert "builtin" in info


def test_auto_speaks_at_once_and_says_how_to_get_chatterbox(tts: Run) -> None:
    result = tts("speak", "Hello.", "-o", "x.wav")
    assert result.returncode == 0
    notice, summary = result.stderr.decode().splitlines()
    assert notice == f"tts: speaking with the built-in voice; for Chatterbox, run: {GET_CHATTERBOX}"
    assert "builtin/heart" in summary
    assert len(tts("speak", "Hello.", "-o", "x.wav", "--voice", "heart").stderr.splitlines()) == 1


def test_names_with_brackets_are_shown_as_they_are(tts: Run) -> None:
    result = tts("speak", "Hello.", "-o", "a[b]c.wav", *BUILTIN)
    assert b"to a[b]c.wav" in result.stderr


def test_no_model_is_here(tts: Run) -> None:
    result = tts("model", "list")
    assert result.returncode == 0
    assert b"tts model pull turbo" in result.stderr


def test_version(tts: Run) -> None:
    assert tts("--version").stdout.split()[0] == b"tts"


def test_a_streamed_wav_from_a_pipe_is_playable(tts: Run) -> None:
    sound, rate = soundfile.read(io.BytesIO(tts("speak", "Hello.", "-o", "-").stdout))
    assert rate == 24_000
    assert np.abs(sound).max() > 0.05


def test_unfinished_text_is_spoken_when_its_writer_pauses(environment: dict[str, str], tmp_path: Path) -> None:
    command = [*TTS, "speak", "-o", "-", "--raw", *PICKY, "--idle-flush", "1", "--quiet"]
    with warm.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = threading.Timer(PATIENCE, process.kill)
        deadline.start()
        process.stdin.write(b"Let me check that.")
        process.stdin.flush()
        assert len(process.stdout.read(9600)) == 9600, "heard while the writer is still there"
        process.stdin.close()
        process.stdout.read()
        deadline.cancel()
    assert process.returncode == 0
