"""The command line as its users meet it: real processes, real pipes, bad input."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import HAS_TORCH
from tests.harness import PATIENCE, TTS, Run, complaint

BUILTIN = ("--engine", "builtin")
TOO_LONG = "n" * 300
"""A name that no system takes."""
GET_CHATTERBOX = "tts model pull turbo" if HAS_TORCH else "pip install '.[chatterbox]'"
"""The command that a user without Chatterbox is told."""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["speak", ""], 2, "nothing to speak"),
        (["speak", "  \n "], 2, "nothing to speak"),
        (["speak", "😀 🎉 !!!"], 2, "nothing to speak"),
        (["speak", "[laugh]", "-o", "x.wav", *BUILTIN], 2, "nothing to speak"),
        (["speak", "-o", "x.wav", *BUILTIN], 2, "nothing to speak"),
        (["speak", "-f", "missing.txt"], 2, "missing.txt"),
        (["speak", "-f", "."], 2, "is a directory"),
        (["speak", "-f", "binary"], 2, "not UTF-8 text (byte 4)"),
        (["speak", "-f", "latin1"], 2, "iconv"),
        (["speak", "hi", "-f", "text"], 2, "one of them"),
        (["speak", b"caf\xe9"], 2, "not valid UTF-8"),
        (["speak", "hi", "--voice", "bob", "-o", "x.wav", *BUILTIN], 2, "heart"),
        (["speak", "hi", "--voice", "bob", "-o", "x.wav"], 3, GET_CHATTERBOX),
        (["speak", "hi", "--engine", "chatterbox", "-o", "x.wav"], 3, GET_CHATTERBOX),
        (["speak", "hi", "-o", TOO_LONG + ".wav", *BUILTIN], 1, "File name too long"),
        (["speak", "hi", "-o", TOO_LONG + "/x.wav", *BUILTIN], 1, "File name too long"),
        (["bench", "--plot", TOO_LONG + ".png", *BUILTIN], 1, "File name too long"),
        (["model", "path", "--model-dir", TOO_LONG], 3, "File name too long"),
        (["voice", "list", "--voices-dir", TOO_LONG], 2, "File name too long"),
        (["model", "path", "nano"], 3, "tts model pull nano"),
        (["voice", "cache", "x.mp3"], 3, GET_CHATTERBOX),
        (["voice", "cache", "x.mp3", "--name", "heart"], 2, "--name"),
        (["voice", "remove", "bob"], 2, "bob"),
        (["speak", "hi", "--engine", "bob", "-o", "x.wav"], 2, "builtin"),
        (["speak", "hi", "--engine", "no.such:Engine", "-o", "x.wav"], 2, "no.such"),
        (["speak", "hi", "--engine", "os:path", "-o", "x.wav"], 2, "neither an engine class"),
        (["speak", "hi", "--engine", "pathlib:Path", "-o", "x.wav"], 2, "neither an engine class"),
        (["speak", "hi", "--chunk", "0"], 2, "--chunk"),
        (["speak", "hi", "--chunk", "9" * 5000], 2, "--chunk"),
        (["speak", "hi", "--chunk", "٣"], 2, "--chunk"),
        (["speak", "hi", "--seed", "-1", "-o", "x.wav"], 2, "--seed"),
        (["speak", "hi", "--seed", "9" * 30, "-o", "x.wav"], 2, "seed"),
        (["speak", "hi", "--temperature", "nan", "-o", "x.wav"], 2, "temperature"),
        (["bench", "--seed", "-1", *BUILTIN], 2, "--seed"),
        (["speak", "hi", "--mode", "fast"], 2, "--mode"),
        (["speak", "hi", "--format", "html"], 2, "--format"),
        (["speak", "hi", "--code", "run"], 2, "--code"),
        (["speak", "```\nls\n```", "--code", "skip", "-o", "x.wav", *BUILTIN], 2, "--code speak"),
        (["speak", "hi", "--no-such-option"], 2, "--no-such-option"),
        (["speak", "hi", "there"], 2, "see: tts speak --help"),
        (["speak", "hi", "-o", "x.xyz"], 2, ".flac"),
        (["speak", "hi", "-o", "no/x.wav"], 2, "mkdir -p no"),
        (["speak", "hi", "-o", "-", "--json"], 2, "standard output"),
        (["speak", "hi", "--raw"], 2, "-o -"),
        (["speak", "hi", "-o", "there.wav", "-n", "--engine", "bob"], 2, "there.wav exists already"),
        (["speak", "hi", "--fallback", "there.wav", "-n", *BUILTIN], 2, "there.wav exists already"),
        (["speak", "hi", "-n"], 2, "-o"),
        (["speak", "hi", "-o", "-", "-n"], 2, "-o"),
        (["speak", "hi", "-o", "locked.wav", *BUILTIN], 1, "it is read-only"),
        (["speak", "hi", "--play"], 2, "-o FILE"),
        (["speak", "hi", "--output-device", "0", "-o", "x.wav"], 2, "--play"),
        (["speak", "hi", "-o", "/dev/full", *BUILTIN], 1, "No space left"),
        (["speak", "hi", *BUILTIN], 3, "no audio output"),
        (["speak", "hi", "--output-device", "bob", *BUILTIN], 3, "no audio output"),
        (["speak", "hi", "-o", "x.wav", "--play", *BUILTIN], 3, "no audio output"),
        (["devices"], 3, "no audio output"),
        (["voice", "info", "bob"], 2, "bob"),
        (["voice", "info", "../bob"], 2, "../bob"),
        (["sing"], 2, "sing"),
    ],
)
def test_bad_input_gets_one_line_and_its_exit_code(
    tts: Run, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\1\2\3")
    (tmp_path / "latin1").write_bytes("déjà vu".encode("latin-1"))
    (tmp_path / "text").write_text("Hello.")
    (tmp_path / "there.wav").touch()
    (tmp_path / "locked.wav").touch(mode=0o444)
    before = set(tmp_path.iterdir())
    result = tts(*arguments)
    assert says in complaint(result)
    assert result.returncode == code
    assert result.stdout == b""
    assert set(tmp_path.iterdir()) == before


LOCKED = "locked/in"
"""A folder within one that nobody may enter."""


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "says"),
    [
        (["speak", "hi", "-o", "unwritable/x.wav", *BUILTIN], {}, 1, "cannot write unwritable/x.wav"),
        (["speak", "hi", "-o", f"{LOCKED}/x.wav", *BUILTIN], {}, 1, "choose another place"),
        (["speak", "hi", "-n", "-o", f"{LOCKED}/x.wav", *BUILTIN], {}, 1, f"cannot write {LOCKED}"),
        (["bench", "--plot", f"{LOCKED}/x.png", *BUILTIN], {}, 1, f"cannot write {LOCKED}"),
        (["speak", "-f", "secret"], {}, 2, "'secret' is not readable"),
        (["speak", "-f", f"{LOCKED}/x.txt"], {}, 2, f"cannot read {LOCKED}"),
        (["speak", "hi", "-o", "x.wav", "--voice", "bob"], {"TTS_VOICES_DIR": LOCKED}, 2, "TTS_VOICES_DIR"),
        (["voice", "list", "--voices-dir", LOCKED], {}, 2, f"cannot read {LOCKED}"),
        (["voice", "info", "bob"], {"TTS_VOICES_DIR": LOCKED}, 2, f"cannot read {LOCKED}"),
        (["voice", "remove", "bob"], {"TTS_VOICES_DIR": LOCKED}, 2, f"cannot read {LOCKED}"),
        (["voice", "list"], {"TTS_VOICES_DIR": "file"}, 2, "Not a directory"),
        (["model", "path", "--model-dir", LOCKED], {}, 3, f"cannot read {LOCKED}"),
        (["model", "list"], {"TTS_MODEL_DIR": LOCKED}, 3, f"cannot read {LOCKED}"),
        (["model", "path"], {"HF_HOME": LOCKED}, 3, "HF_HOME"),
        (["model", "list"], {"HF_HOME": "locked"}, 3, "HF_HOME"),
        (["model", "pull", "--offline"], {"HF_HUB_CACHE": LOCKED}, 3, "HF_HOME"),
    ],
)
def test_no_rights(
    tts_with_rights: Run,
    environment: dict[str, str],
    tmp_path: Path,
    arguments: list[str],
    variables: dict[str, str],
    code: int,
    says: str,
) -> None:
    (tmp_path / "unwritable").mkdir(mode=0o500)
    (tmp_path / "secret").touch(mode=0)
    (tmp_path / "file").touch()
    (tmp_path / LOCKED).mkdir(parents=True)
    (tmp_path / "locked").chmod(0)
    result = tts_with_rights(*arguments, env=environment | variables)
    (tmp_path / "locked").chmod(0o700)
    assert says in complaint(result)
    assert result.returncode == code


def test_a_cache_that_cannot_be_read_leaves_the_built_in_voice(
    tts_with_rights: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    result = tts_with_rights("speak", "Hi.", "-o", "x.wav", env=environment | {"HF_HOME": "locked"})
    assert result.returncode == 0, result.stderr
    assert soundfile.info(tmp_path / "x.wav").frames


def test_a_tilde_in_tts_voices_dir_is_the_home(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "bob.pt").touch()
    home = environment | {"HOME": str(tmp_path)}
    assert b"bob" in tts("voice", "list", env=home | {"TTS_VOICES_DIR": "~/v"}).stdout
    assert b"bob" in tts("voice", "list", "--voices-dir", "~/v", env=home).stdout
    result = tts("voice", "list", env=home | {"TTS_VOICES_DIR": "~nobody-of-that-name/v"})
    assert result.returncode == 0, result.stderr


def test_bytes_that_go_bad_in_a_pipe_leave_no_half_file(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "-o", "x.wav", *BUILTIN, input=b"The first sentence is fine.\n\xff\xfe")
    assert result.returncode == 2
    assert "standard input is not UTF-8 text (byte 28)" in complaint(result)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{' '.join(TTS)} speak -f long.txt --engine builtin -o - | head -c 100 | wc -c; echo ${{PIPESTATUS[0]}}"
    (tmp_path / "long.txt").write_text("This sentence is long enough to be heard. " * 100)
    result = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=True
    )
    assert result.stdout.split() == [b"100", b"1"]
    assert "was closed" in complaint(result)


def test_an_engine_that_fails_is_reported_and_leaves_nothing(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "Hello, this is long enough.", "--engine", "tests.sample_engines:BrokenEngine", "-o", "x.wav")
    line = "cannot speak 'Hello, this is long enough.': the model has fallen apart; put it together again"
    assert complaint(result) == f"tts: {line}"
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_is_not_where_it_was_to_be_says_so_once(tts: Run) -> None:
    command = ("speak", "Hello.\n\nAnd again.", "--engine", "tests.sample_engines:MovedEngine", "-o", "x.wav")
    told, _summary = tts(*command).stderr.decode().splitlines()
    assert told == "tts: this Mac's GPU cannot compute; speaking on the CPU"
    assert tts(*command, "-q").stderr == b""


PICKY = ("--engine", "tests.sample_engines:PickyEngine")


def test_a_text_that_an_engine_fails_on_is_named_and_the_rest_is_spoken(tts: Run, tmp_path: Path) -> None:
    text = "One is good here.\nTwo is bad here.\nThree is good here.\n"
    result = tts("speak", text, *PICKY, "-o", "x.wav", "--json")
    told, summary = result.stderr.decode().splitlines()
    assert told == r"tts: cannot speak 'Two is bad here.': ValueError: that\x1b[31m was bad"
    assert " s to x.wav · 1 piece not spoken · " in summary
    assert result.returncode == 1
    assert json.loads(result.stdout)["failed_segments"] == 1
    good = tts("speak", text.replace("Two is bad here.\n", ""), *PICKY, "-o", "good.wav")
    assert good.returncode == 0
    longer = soundfile.info(tmp_path / "x.wav").frames - soundfile.info(tmp_path / "good.wav").frames
    assert longer == 9600, "the chunk before the failure"


CURT = ("--engine", "tests.sample_engines:CurtEngine")


@pytest.mark.parametrize("output", [("-o", "x.wav"), ("-o", "-", "--raw"), ("--mode", "simple", "-o", "x.wav")])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_speech_that_was_cut_short_is_told(tts: Run, output: tuple[str, ...], quiet: tuple[str, ...]) -> None:
    text = f"All is well here.\nThis is {'very ' * 20}long.\nAnd long.\n"
    result = tts("speak", text, *CURT, *output, *quiet)
    assert result.returncode == 0
    shown = f"This is {'very ' * 20}"[:60]
    told = [f"tts: '{shown}…': that was\\x1b[31m too much", "tts: 'And long.': that was\\x1b[31m too much"]
    lines = result.stderr.decode().splitlines()
    assert lines[:2] == told
    assert len(lines) == (2 if quiet else 3)
    if "-" not in output:
        notices = json.loads(tts("speak", text, *CURT, *output, *quiet, "--json").stdout)["notices"]
        assert notices == [f"'{shown}…': that was\x1b[31m\ntoo much", "'And long.': that was\x1b[31m\ntoo much"]


def test_speech_that_is_whole_has_no_notices(tts: Run) -> None:
    result = tts("speak", "All is well here.", *CURT, "-o", "x.wav", "--json")
    assert json.loads(result.stdout)["notices"] == []
    assert len(result.stderr.splitlines()) == 1


def test_strict_ends_at_the_first_failure(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "Two is bad. Three is good. Four is bad.", *PICKY, "-o", "x.wav", "--strict")
    assert complaint(result).startswith("tts: cannot speak 'Two is bad.': ValueError")
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_fails_on_everything_is_given_up(tts: Run, tmp_path: Path) -> None:
    result = tts("speak", "-o", "x.wav", *PICKY, input=b"It is all bad here.\n" * 100)
    assert result.stderr.decode().count("cannot speak") == 5
    assert result.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["-5 degrees", "- item", "--5"])
def test_a_text_that_looks_like_an_option(tts: Run, text: str) -> None:
    result = tts("speak", text)
    assert result.returncode == 2
    assert 'for text that begins with "-": tts speak -- TEXT' in complaint(result)
    assert tts("speak", "-o", "x.wav", *PICKY, "--", text).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("speak", "Hi.", "--voice", "[/x]\x1b[31m", *PICKY),
        ("speak", "Hi.", "--engine", "\x1b]0;title\x07"),
        ("speak", "-f", "\x1b[31mred\x9b31m"),
        ("speak", "Hi.", "-o", "\x1b[2J/x.wav", *PICKY),
        ("speak", "Hi.", "--\x1b[31m"),
        ("voice", "info", "\x1b[31m\u202e"),
        ("voice", "cache", "\x1b[31m.wav"),
        ("model", "path", "--model-dir", "\x1b[31m"),
        ("\x1b[31m",),
    ],
)
def test_no_message_moves_the_cursor(tts: Run, arguments: tuple[str, ...]) -> None:
    result = tts(*arguments)
    assert result.returncode in (2, 3)
    assert complaint(result).isprintable()
    assert result.stdout == b""


def test_names_in_tables_and_summaries_are_shown_as_they_are(tts: Run, tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "bob.pt").write_bytes(b"")
    about = {"source": "[/x][red]\x1b[31mx\u202e.wav", "created": "\x1b]0;t\x07", "sha256": "a\nb"}
    (tmp_path / "voices" / "bob.json").write_text(json.dumps(about))
    for command in (("list",), ("info", "bob")):
        result = tts("voice", *command, "--voices-dir", "voices")
        assert result.returncode == 0
        assert r"[/x][red]\x1b[31mx\u202e.wav" in result.stdout.decode()
        assert result.stdout.decode().replace("\n", "").isprintable()
    result = tts("speak", "Hello.", *PICKY, "-o", "[x]\x1b[31m\udcff.wav")
    assert r"to [x]\x1b[31m\udcff.wav" in result.stderr.decode()


def test_the_folder_of_a_model_is_printed_as_it_is_for_programs(tts: Run, tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "a\x1b  b\udcff"
    folder.symlink_to(tiny)
    result = tts("model", "path", "--model-dir", str(folder))
    assert result.stdout == os.fsencode(folder) + b"\n"


def test_portaudio_missing(tts: Run, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    result = tts("speak", "hi", *BUILTIN, env=environment | {"PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"})
    assert result.returncode == 3
    assert "libportaudio2" in complaint(result)


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
    with subprocess.Popen(
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
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
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
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(44 + 9600 * 2)) == 44 + 9600 * 2
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_interrupted_file_is_whole_and_the_rest_is_silent(environment: dict[str, str], tmp_path: Path) -> None:
    command = [*TTS, "speak", "word " * 50, "--engine", "tests.sample_engines:SlowEngine", "-o", "x.flac"]
    with subprocess.Popen(
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
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(process.stdout.read(480_000)) == 480_000
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


def test_help_names_every_command_and_loads_nothing_heavy(environment: dict[str, str]) -> None:
    code = (
        "import sys\ntry:\n    sys.argv = ['tts', '--help']\n    from tts_cli.__main__ import main\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'torch', 'sounddevice', 'onnxruntime', 'hibari') if name in sys.modules])"
    )
    output = subprocess.check_output([TTS[0], "-c", code], env=environment, text=True)
    assert output.splitlines()[-1] == "[]"
    assert all(command in output for command in ("speak", "voice", "devices"))
    # Typer's own help loads markdown-it-py, so we ask what loads before that.
    ours = (
        "import sys, tts_cli.cli.speak; print([name for name in sys.modules if name.startswith(('markdown', 'pygm'))])"
    )
    assert subprocess.check_output([TTS[0], "-c", ours], env=environment, text=True).strip() == "[]"


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
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as process:
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
