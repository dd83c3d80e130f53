"""`--subtitles`: treated as the file of `-o` is, written while it speaks, and true to the sound."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pysubs2
import pytest
import soundfile

from tests.harness import PATIENCE, TTS, Run, complaint
from tests.loudspeaker import Speaker

TONE = ("--engine", "tests.sample_engines:ToneEngine")
TEXT = "It rained. Nobody went out, and nobody came in.\n\nThe next day was dry."


def sentences(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["sentences"]
    return found


def test_each_sentence_is_where_its_sound_is(tts: Run, tmp_path: Path) -> None:
    assert tts("speak", TEXT, "--engine", "builtin", "-o", "x.wav", "--subtitles", "x.json").returncode == 0
    sound, rate = soundfile.read(tmp_path / "x.wav")
    cues = sentences(tmp_path / "x.json")
    assert " ".join(cue["text"] for cue in cues) == " ".join(TEXT.split())
    for cue in cues:
        begin, end = round(cue["start"] * rate), round(cue["end"] * rate)
        assert np.abs(sound[begin - 20 : begin + 50]).max() >= 0.001
        assert np.abs(sound[end - 50 : end + 20]).max() >= 0.001
        assert np.abs(sound[end + 50 : end + 6000]).max() < 0.01
        assert [word["text"] for word in cue["words"]] == cue["text"].split()
        assert not any(word["estimate"] for word in cue["words"])


@pytest.mark.parametrize("options", [("--mode", "simple"), ("--chunk", "3"), ("--raw",)])
def test_subtitles_do_not_depend_on_how_the_sound_is_made_and_written(
    tts: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    tts("speak", TEXT, *TONE, "-o", "x.flac", "--subtitles", "x.srt")
    assert tts("speak", TEXT, *TONE, "-o", "-", *options, "--subtitles", "y.srt").returncode == 0
    assert (tmp_path / "y.srt").read_text() == (tmp_path / "x.srt").read_text()
    assert pysubs2.load(str(tmp_path / "y.srt"))[0].plaintext == "It rained."


def test_subtitles_follow_the_speed(tts: Run, tmp_path: Path) -> None:
    for speed in ("1", "2"):
        tts(
            "speak",
            "It rained all day.",
            "--engine",
            "builtin",
            "--speed",
            speed,
            "-o",
            "-",
            "--subtitles",
            f"{speed}.json",
        )
    (slow,), (fast,) = sentences(tmp_path / "1.json"), sentences(tmp_path / "2.json")
    assert fast["end"] < 0.7 * slow["end"]
    assert fast["words"][-1]["start"] < 0.7 * slow["words"][-1]["start"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x.txt", "cannot tell a format of subtitles"),
        ("x", "cannot tell a format of subtitles"),
        ("-", "cannot tell a format of subtitles"),
        ("nowhere/x.srt", "there is no directory"),
        ("folder.srt", "is a directory"),
    ],
)
def test_a_place_where_no_subtitles_can_be_is_refused_before_anything_is_made(
    tts: Run, tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "folder.srt").mkdir()
    result = tts("speak", "Hello.", *TONE, "-o", "x.wav", "--subtitles", name)
    assert result.returncode == 2
    assert says in complaint(result)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.srt"]


def test_a_file_that_is_there_is_kept_if_asked_and_replaced_otherwise(tts: Run, tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text("old")
    (tmp_path / "x.srt").chmod(0o640)
    result = tts("speak", "Hello.", *TONE, "-o", "-", "--subtitles", "x.srt", "-n")
    assert result.returncode == 2
    assert "exists already" in complaint(result)
    assert (tmp_path / "x.srt").read_text() == "old"
    assert tts("speak", "Hello.", *TONE, "-o", "-", "--subtitles", "x.srt").returncode == 0
    assert "Hello." in (tmp_path / "x.srt").read_text()
    assert (tmp_path / "x.srt").stat().st_mode & 0o777 == 0o640


def test_a_read_only_file_is_refused_and_the_sound_is_not_there_either(tts: Run, tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text("old")
    (tmp_path / "x.srt").chmod(0o400)
    result = tts("speak", "Hello.", *TONE, "-o", "x.wav", "--subtitles", "x.srt")
    assert result.returncode == 1
    assert "read-only" in complaint(result)
    assert [path.name for path in tmp_path.iterdir()] == ["x.srt"]


def test_a_full_disk_is_reported(tts: Run, tmp_path: Path) -> None:
    (tmp_path / "x.srt").symlink_to("/dev/full")
    result = tts("speak", "Hello.", *TONE, "-o", "-", "--subtitles", "x.srt")
    assert result.returncode == 1
    assert "No space left" in complaint(result)


def test_after_an_error_the_old_subtitles_are_there(tts: Run, tmp_path: Path) -> None:
    (tmp_path / "x.srt").write_text("old")
    result = tts("speak", "Hello.", "--engine", "tests.sample_engines:NanEngine", "-o", "x.wav", "--subtitles", "x.srt")
    assert result.returncode == 1
    assert (tmp_path / "x.srt").read_text() == "old"


def test_what_follows_a_piece_that_fails_is_where_it_is_heard(tts: Run, tmp_path: Path) -> None:
    picky = ("--engine", "tests.sample_engines:PickyEngine")
    result = tts("speak", "All is well. This is bad. All is well.", *picky, "-o", "x.wav", "--subtitles", "x.json")
    assert result.returncode == 1
    cues = sentences(tmp_path / "x.json")
    assert [cue["text"] for cue in cues] == ["All is well.", "This is bad.", "All is well."]
    assert cues[1]["end"] - cues[1]["start"] <= 0.4
    assert cues[-1]["end"] == pytest.approx(soundfile.info(tmp_path / "x.wav").duration, abs=0.01)


def test_a_named_pipe_gets_each_sentence_while_the_next_is_spoken_and_a_file_survives_ctrl_c(
    environment: dict[str, str], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.lrc")
    text = "It rains. " * 500
    slow = [*TTS, "speak", text, "--engine", "tests.sample_engines:SlowEngine", "-o", "x.wav"]
    with (
        subprocess.Popen([*slow, "--subtitles", "pipe.lrc"], env=environment, cwd=tmp_path) as process,
        (tmp_path / "pipe.lrc").open() as pipe,
    ):
        assert [pipe.readline()[10:] for _ in range(2)] == ["It rains.\n"] * 2
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    with subprocess.Popen([*slow, "--subtitles", "x.json"], env=environment, cwd=tmp_path) as process:
        while not any(b"rains" in part.read_bytes() for part in tmp_path.glob(".tts-*.part")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    cues = sentences(tmp_path / "x.json")
    assert cues[-1]["end"] <= soundfile.info(tmp_path / "x.wav").duration + 0.001
    assert len({cue["text"] for cue in cues}) == 1


def test_a_pipe_that_nobody_reads_is_given_up_on_ctrl_c(environment: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.srt")
    command = [*TTS, "speak", "Hello.", "--engine", "tests.sample_engines:TellingEngine", "-o", "x.wav"]
    with subprocess.Popen(
        [*command, "--subtitles", "pipe.srt"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"loaded\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.srt"]


@pytest.mark.speaker
def test_sound_that_is_played_and_written_has_the_subtitles_of_the_file(
    speaker: Speaker, tts: Run, tmp_path: Path
) -> None:
    text = ("speak", "It rained. It poured.", *TONE)
    assert tts(*text, "-o", "x.wav", "--subtitles", "x.vtt").returncode == 0
    played = ("-o", "y.wav", "--play", "--subtitles", "y.vtt")
    assert tts(*text, *played, env=speaker.environment).returncode == 0
    assert (tmp_path / "y.vtt").read_text() == (tmp_path / "x.vtt").read_text()
    assert tts(*text, "--subtitles", "z.vtt", env=speaker.environment).returncode == 0
    assert (tmp_path / "z.vtt").read_text() == (tmp_path / "x.vtt").read_text()


def test_the_file_that_replaces_a_missing_speaker_has_subtitles(tts: Run, tmp_path: Path) -> None:
    done = tts("speak", "It rained.", *TONE, "--fallback", "x.wav", "--subtitles", "x.srt", "-q")
    assert done.returncode == 0
    assert pysubs2.load(str(tmp_path / "x.srt"))[0].end == pytest.approx(
        1000 * soundfile.info(tmp_path / "x.wav").duration, abs=10
    )
