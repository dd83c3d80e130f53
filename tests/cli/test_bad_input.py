"""Requests that cannot be met: one line that says what to do, the right exit code, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import soundfile

from tests.conftest import GET_CHATTERBOX
from tests.harness import Run, complaint

BUILTIN = ("--engine", "builtin")


TOO_LONG = "n" * 300
"""A name that no system takes."""


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
        (["speak", "hi", "--speed", "3"], 2, "not in the range 0.5<=x<=2"),
        (["speak", "hi", "--volume", "31"], 2, "not in the range"),
        (["speak", "hi", "--volume", "nan", "-o", "x.wav"], 2, "volume"),
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


PICKY = ("--engine", "tests.sample_engines:PickyEngine")


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
