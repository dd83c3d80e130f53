import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import PATIENCE, ROOT, Run, complaint
from tts_cli.engines import VoiceInfo
from tts_cli.engines.chatterbox.voice import store as voices
from tts_cli.engines.chatterbox.voice.store import Draft, VoiceStore, check_name, default_dir, name_from
from tts_cli.errors import MissingError, OutputError, UsageError


@pytest.fixture
def store(tmp_path: Path) -> VoiceStore:
    return VoiceStore(tmp_path / "voices")


def make(store: VoiceStore, name: str, content: bytes = b"voice", force: bool = False) -> None:
    with store.reserve(name, force) as draft:
        draft.pt.write_bytes(content)
        draft.prefix.write_bytes(b"prefix")
        draft.describe(
            VoiceInfo(name, "chatterbox", source="a.wav", sha256="ab", duration=6.5, created="2025", model="m")
        )


def half_made(store: VoiceStore, name: str, error: Exception) -> None:
    with store.reserve(name, force=True) as draft:
        draft.pt.write_bytes(b"half")
        raise error


def test_a_voice_is_made_listed_and_removed(store: VoiceStore) -> None:
    assert store.list() == []
    make(store, "zoe")
    make(store, "anna")
    assert store.names() == ["anna", "zoe"]
    assert store.info("anna") == VoiceInfo("anna", "chatterbox", store.path("anna"), "a.wav", "ab", 6.5, "2025", "m")
    store.remove("anna")
    assert sorted(file.name for file in store.directory.iterdir()) == [
        "zoe.json",
        "zoe.pt",
        "zoe.t3.safetensors",
    ]


def test_a_voice_copied_by_hand_is_listed(store: VoiceStore) -> None:
    store.directory.mkdir()
    (store.directory / "eve.pt").write_bytes(b"voice")
    (store.directory / "not a name.pt").write_bytes(b"voice")
    assert store.list() == [VoiceInfo("eve", "chatterbox", path=store.directory / "eve.pt")]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1]", "null", '{"duration": "long", "source": 7, "name": "x"}', "\xff", "[" * 100_000),
        *(f'{{"duration": {value}}}' for value in ("true", "NaN", "Infinity", "-1", "9" * 400, "9" * 5000)),
    ],
    ids=lambda text: text[:20],
)
def test_a_damaged_json_leaves_the_voice_usable(store: VoiceStore, text: str) -> None:
    make(store, "anna")
    (store.directory / "anna.json").write_text(text, encoding="latin-1")
    assert store.info("anna") == VoiceInfo("anna", "chatterbox", path=store.path("anna"))


NO_NAMES = ["", "..", "a/b", "../a", "a\\b", "-x", ".hidden", "a b", "a\n", "x" * 65, "a\0b", "a.b"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_that_are_no_names_are_refused_everywhere(store: VoiceStore, name: str) -> None:
    for call in (store.path, store.info, store.remove, store.prefix_path, store.check_free):
        with pytest.raises(UsageError, match="cannot name a voice"):
            call(name)


@given(st.text(min_size=1))
def test_every_file_name_gives_a_voice_name(stem: str) -> None:
    assert check_name(name_from(Path(stem.replace("/", "_") + ".wav")))


def test_a_name_made_from_a_file() -> None:
    assert name_from(Path("/recordings/My voice (2).wav")) == "My-voice-2"


def test_the_name_of_the_voice_that_comes_with_the_weights_is_taken(store: VoiceStore) -> None:
    with pytest.raises(UsageError, match="comes with the weights"):
        store.check_free("default", force=True)
    with pytest.raises(UsageError, match="cannot be removed"):
        store.remove("default")


def test_a_name_is_the_same_however_a_system_writes_its_letters() -> None:
    assert name_from(Path("cafe\u0301 one.wav")) == name_from(Path("caf\u00e9 one.wav")) == "caf\u00e9-one"


@pytest.mark.parametrize("name", ["heart", "default", "Default"])
def test_the_engines_own_names_cannot_be_taken_or_removed(tts: Run, tmp_path: Path, name: str) -> None:
    for command in (["cache", "x.wav", "--name", name], ["remove", name]):
        result = tts("voice", *command, "--voices-dir", str(tmp_path))
        assert result.returncode == 2
        assert f"'{name}' is a voice of" in complaint(result)


def test_an_unknown_voice_names_those_there_are(store: VoiceStore) -> None:
    with pytest.raises(UsageError, match="tts voice cache"):
        store.path("anna")
    make(store, "zoe")
    with pytest.raises(UsageError, match="zoe"):
        store.path("anna")


def test_a_taken_name_needs_force(store: VoiceStore) -> None:
    make(store, "anna")
    with pytest.raises(UsageError, match="--force"):
        make(store, "anna", b"other")
    assert store.path("anna").read_bytes() == b"voice"
    with store.reserve("anna", force=True) as draft:
        draft.pt.write_bytes(b"other")
    assert store.path("anna").read_bytes() == b"other"
    assert not store.prefix_path("anna").exists(), "the old voice's prefix would be wrong for the new one"


def test_a_failure_leaves_nothing_and_keeps_the_old_voice(store: VoiceStore) -> None:
    make(store, "anna")
    before = sorted(store.directory.iterdir())
    with pytest.raises(ZeroDivisionError):
        half_made(store, "anna", ZeroDivisionError())
    with pytest.raises(OutputError, match="free some space"):
        half_made(store, "zoe", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert sorted(store.directory.iterdir()) == before
    assert store.path("anna").read_bytes() == b"voice"


def test_the_voice_is_not_there_before_it_is_whole(store: VoiceStore) -> None:
    with store.reserve("anna") as draft:
        assert isinstance(draft, Draft)
        draft.pt.write_bytes(b"voice")
        assert store.names() == []
    assert store.names() == ["anna"]


MAKER = """
import sys
from pathlib import Path
from tts_cli.errors import UsageError
from tts_cli.engines.chatterbox.voice.store import VoiceStore

try:
    with VoiceStore(Path("voices")).reserve("anna") as draft:
        draft.pt.write_text(sys.argv[1])
        draft.prefix.write_text(sys.argv[1])
        print("written", flush=True)
        sys.stdin.read()
except UsageError as error:
    sys.exit(str(error))
"""


def maker(folder: Path, content: str) -> subprocess.Popen[str]:
    """A process that has written a voice and puts it in place when its standard input ends."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, content],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def test_of_two_processes_that_make_a_voice_one_wins_and_the_other_says_so(store: VoiceStore) -> None:
    first, second = (maker(store.directory.parent, content) for content in ("first", "second"))
    assert first.stdin is not None
    assert second.stdin is not None
    first.stdin.close()
    second.stdin.close()
    codes = first.wait(PATIENCE), second.wait(PATIENCE)
    assert sorted(codes) == [0, 1]
    winner, loser = ("first", second) if codes == (0, 1) else ("second", first)
    assert loser.stderr is not None
    assert "there is already a voice called 'anna'" in loser.stderr.read()
    assert store.path("anna").read_text() == store.prefix_path("anna").read_text() == winner
    assert len(list(store.directory.iterdir())) == 2
    for stream in (first.stdout, first.stderr, second.stdout, second.stderr):
        assert stream is not None
        stream.close()


def test_what_a_killed_process_leaves_is_swept_by_the_next_voice(store: VoiceStore) -> None:
    with maker(store.directory.parent, "half") as process:
        process.kill()
    assert len(list(store.directory.iterdir())) == 1
    assert store.names() == []
    make(store, "zoe")
    assert sorted(file.suffix for file in store.directory.iterdir()) == [".json", ".pt", ".safetensors"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot write"),
        VoiceStore(tmp_path / "file" / "voices").reserve("anna"),
    ):
        pass


def test_where_voices_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TTS_VOICES_DIR", str(tmp_path))
    assert default_dir() == tmp_path
    monkeypatch.delenv("TTS_VOICES_DIR")
    package = tmp_path / "checkout" / "tts_cli"
    monkeypatch.setattr(voices, "__file__", str(package / "engines/chatterbox/voice/store.py"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert default_dir() == tmp_path / "data" / "tts" / "voices"
    (package.parent / "voices").mkdir(parents=True)
    (package.parent / "pyproject.toml").write_text("")
    assert default_dir() == package.parent.resolve() / "voices"


def test_the_voice_that_came_with_the_weights(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voices", tmp_path)
    with pytest.raises(MissingError, match="voice cache"):
        store.speakable()
    with pytest.raises(UsageError, match="model pull"):
        store.path("default")
    make(store, "anna")
    assert store.speakable() == ["anna"]
    with pytest.raises(UsageError, match="choose: anna"):
        store.path("default")
    (tmp_path / "conds.pt").write_bytes(b"")
    assert store.speakable() == ["default", "anna"]
    assert store.path("default") == tmp_path / "conds.pt"
    assert [(voice.name, voice.engine) for voice in store.list()] == [("default", "chatterbox"), ("anna", "chatterbox")]
    with pytest.raises(UsageError, match="choose: default, anna"):
        store.path("eve")
    assert VoiceStore(tmp_path / "voices").names() == ["anna"]


def test_the_json_holds_no_paths(store: VoiceStore) -> None:
    make(store, "anna")
    fields = json.loads((store.directory / "anna.json").read_text())
    assert set(fields) == {"engine", "source", "sha256", "duration", "created", "model"}


def test_a_voice_is_tried_and_moved_to_another_machine(tts: Run, tiny: Path, tmp_path: Path) -> None:
    here, there = (("--voices-dir", str(tmp_path / name)) for name in ("here", "there"))
    (tmp_path / "here").mkdir()
    shutil.copy(tiny / "conds.pt", tmp_path / "here" / "bob.pt")
    assert tts("voice", "export", "bob", *here).stdout == b"bob.zip\n"
    assert "--force" in complaint(tts("voice", "export", "bob", *here))
    imported = tts("voice", "import", "bob.zip", "--name", "rob", *there)
    assert imported.stdout.decode().strip() == str(tmp_path / "there" / "rob.pt")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "here" / "bob.pt", "heart.pt")
    for arguments in (["bob.zip", "--name", "Default"], ["x.zip"]):
        result = tts("voice", "import", *arguments, *there)
        assert result.returncode == 2
        assert "is a voice of" in complaint(result)
    tried = tts("voice", "try", "rob", "-o", "rob.wav", "--model-dir", "none", *there)
    assert tried.returncode == 3
    assert "there is no folder none to take the weights from" in complaint(tried)
    assert tts("voice", "try", "heart", "-o", "heart.wav").returncode == 0
    assert soundfile.info(tmp_path / "heart.wav").duration > 1
    assert "choose: heart, rob" in complaint(tts("voice", "try", "nobody", *there))
