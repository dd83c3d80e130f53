"""Files that are written beside their place: what stands there is the old file or the new one, never half of one."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.harness import ROOT, clean_environment
from tts_cli.replace import Draft, draft_folder, replacing


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def put(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_gets_the_rights_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        put(tmp_path / "new", b"new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o666 & ~umask


@pytest.mark.parametrize("rights", [0o600, 0o664, 0o755, 0o666])
def test_a_replaced_file_keeps_its_rights(tmp_path: Path, rights: int) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(rights)
    draft = Draft(path)
    draft.open().write(b"new")
    (part,) = set(tmp_path.iterdir()) - {path}
    assert mode(part) & ~rights == 0  # nobody may read the draft who may not read the file
    draft.commit()
    assert path.read_bytes() == b"new"
    assert mode(path) == rights


def test_the_umask_is_never_touched(tmp_path: Path) -> None:
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            new = tmp_path / "watched"
            os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o666))
            seen.add(mode(new))
            new.unlink()

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(200):
        put(tmp_path / f"{number}", b"")
    done.set()
    watcher.join()
    assert len(seen) == 1


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_bytes(b"old")
    (tmp_path / "middle").symlink_to("far/file")
    (tmp_path / "link").symlink_to(tmp_path / "middle")
    put(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"new"
    assert not (tmp_path / "far" / "file").is_symlink()
    (tmp_path / "dangling").symlink_to("far/not yet")
    put(tmp_path / "dangling", b"newer")
    assert (tmp_path / "far" / "not yet").read_bytes() == b"newer"
    assert names(tmp_path / "far") == ["file", "not yet"]


def test_a_link_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        put(tmp_path / "loop", b"")
    assert (tmp_path / "loop").is_symlink()


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="read-only"):
        put(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["old"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path / "fifo", tmp_path / "link"):
        with pytest.raises(OSError, match="it is a pipe"):
            put(path, b"new")
    assert (tmp_path / "fifo").is_fifo()
    with pytest.raises(IsADirectoryError):
        put(tmp_path, b"new")
    assert names(tmp_path) == ["fifo", "link"]


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("x" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    put(path, b"new")
    put(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["old"]


def test_a_file_that_cannot_be_flushed_is_not_put_in_place(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            put(path, b"long")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["old"]


def test_without_clobbering_what_appeared_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    first, second = Draft(path), Draft(path)
    first.open().write(b"first")
    second.open().write(b"second")
    first.commit(clobber=False)
    with pytest.raises(FileExistsError):
        second.commit(clobber=False)
    second.discard()
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


def test_ctrl_c_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    """In a process of its own, which is interrupted again and again while it replaces a file again and again."""
    code = (
        "import sys; from pathlib import Path; from tts_cli.replace import replacing\n"
        "path, ended = Path(sys.argv[1]), 0\n"
        "while ended < 100:\n"
        "    try:\n"
        "        print(ended, flush=True)\n"
        "        while True:\n"
        "            with replacing(path) as file:\n"
        "                file.write(b'whole' * 5000)\n"
        "    except KeyboardInterrupt:\n"
        "        ended += 1\n"
        "        left = [each.name for each in path.parent.iterdir() if each != path]\n"
        "        assert not left, left\n"
        "        assert not path.exists() or len(path.read_bytes()) == 25_000\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in process.stdout:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "file"])


KILLED = """
import os, signal, sys
from pathlib import Path
from tts_cli.replace import Draft, draft_folder
draft = Draft(Path("x"))
draft.open().write(b"half")
with draft_folder(Path()) as folder:
    (folder / "y").write_bytes(b"half")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_drafts_stay_while_their_writer_lives_and_are_swept_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".tts-notes.part").write_bytes(b"of somebody else")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    put(tmp_path / "z", b"new")
    assert len(names(tmp_path)) == 4
    process.kill()
    process.communicate()
    put(tmp_path / "z", b"new")
    assert names(tmp_path) == [".tts-notes.part", "z"]
    with draft_folder(tmp_path) as folder:
        assert names(folder) == []
    assert names(tmp_path) == [".tts-notes.part", "z"]


def test_a_draft_is_its_writers_until_it_is_in_its_place(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "x")
    draft.open().close()
    put(tmp_path / "y", b"new")
    draft.commit()
    draft.discard()
    assert names(tmp_path) == ["x", "y"]
