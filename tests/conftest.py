"""Fixtures that the tests share."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests import warm
from tests.harness import PATIENCE, ROOT, TTS, Run, clean_environment, read_dictionaries_once
from tests.hub import Hub, HubServer
from tests.loudspeaker import Speaker, null_sink
from tests.pulling import FILES, PULL, REPO, Machine, start

if TYPE_CHECKING:
    import torch

Make = Callable[..., "subprocess.CompletedProcess[str]"]

# The workers fill the cores: more threads than that only wait for each other. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What our package sets, but here torch is often imported before it. The threads would spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The same examples in every run, and as much time for them as the machine takes: what fails, fails for everybody.
# `pytest --hypothesis-profile default` draws others; so does scripts/fuzz.py.
UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("suite", derandomize=True, deadline=None, suppress_health_check=UNCHECKED)
settings.load_profile("suite")

# A shell starts what it runs in the background deaf to Ctrl-C and Ctrl-\, and every process that we start would inherit
# that.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


HAS_TORCH = find_spec("torch") is not None
GET_CHATTERBOX = "tts model pull turbo" if HAS_TORCH else "pip install '.[chatterbox]'"
"""The command that a user without Chatterbox is told."""
NEED_TORCH = (
    "cli/test_model.py",
    "cli/test_record.py",
    "cli/test_speak_chatterbox.py",
    "cli/test_tune.py",
    "cli/test_voice_chatterbox.py",
    "engines/chatterbox",
    "scripts/test_make_checkpoint.py",
)
collect_ignore = [] if HAS_TORCH else [*NEED_TORCH]


def pytest_report_header() -> list[str]:
    """Say so where less is tested."""
    return [] if HAS_TORCH else ["without torch: what needs Chatterbox is left out"]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, a file stays with one worker.

    So does all that needs the full weights or upstream's code, which making voices needs, too.

    What takes long begins first, so that no worker is left alone with it in the end.
    """
    groups = [_group(item) for item in items]
    slow = {group for item, group in zip(items, groups, strict=True) if item.get_closest_marker("slow")}
    for item, group in zip(items, groups, strict=True):
        item.add_marker(pytest.mark.xdist_group(group))
    order = {id(item): (group != "full", group not in slow) for item, group in zip(items, groups, strict=True)}
    items.sort(key=lambda item: order[id(item)])


def _group(item: pytest.Item) -> str:
    fixtures = set(getattr(item, "fixturenames", ()))
    return "full" if {"full", "upstream_code", "cloning"} & fixtures else str(item.path)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where pytest-xdist sees no groups: every worker would make the full weights and load every engine."""
    if session.config.getoption("loadgroup", False) and not all("@" in item.nodeid for item in session.items):
        raise RuntimeError("pytest-xdist sees no groups of tests: it does not go with this version of pytest")


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Folders of the suite's own for what can be made again, such as quantised weights, and for settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTS_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
        patch.setenv("TTS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def dictionaries() -> None:
    """The built-in voice, which many tests load, reads its dictionaries once."""
    with suppress(ImportError):
        read_dictionaries_once()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment for `tts` in which there is no audio device."""
    return clean_environment() | {"XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": "unix:/nonexistent"}


@pytest.fixture
def tts(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run `tts` with arguments, in `tmp_path`, without an audio device."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        settings: dict[str, Any] = {"cwd": tmp_path, "env": environment, "timeout": PATIENCE}
        return warm.run([*TTS, *arguments], **(settings | options))

    return run


@pytest.fixture
def tts_with_rights(tts: Run, environment: dict[str, str], tmp_path: Path) -> Run:
    """As `tts`, where the rights of files count: root may read and write everything else."""
    if os.geteuid() != 0:
        return tts
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv, of util-linux, to give up its powers")

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *TTS, *arguments]
        settings: dict[str, Any] = {"cwd": tmp_path, "env": environment, "timeout": PATIENCE}
        return subprocess.run(
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, **(settings | options)
        )

    return run


@pytest.fixture
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    """A loudspeaker of this test's own."""
    if shutil.which("pulseaudio") is None:
        pytest.skip("needs pulseaudio, pulseaudio-utils and libasound2-plugins")
    with null_sink(tmp_path_factory.mktemp("run")) as speaker:
        yield speaker


@pytest.fixture(scope="session")
def make_checkpoint() -> Make:
    """Runs `scripts/make_checkpoint.py` as a user does."""
    pytest.importorskip("torch")

    def make(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / "make_checkpoint.py"), str(out), *options]
        return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False)

    return make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights that speaks at once; it lacks what makes a voice of a recording."""
    pytest.importorskip("torch")
    from make_checkpoint import write_checkpoint

    out = tmp_path_factory.mktemp("tiny")
    write_checkpoint(out, "tiny", seed=7)
    return out


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of random weights in the sizes of the released model: gigabytes.

    Made in this process, which needs torch and upstream's code anyway. Of each large tensor, a part is drawn and
    repeated, since drawing takes long. The length of the part is prime, so that no two rows of a tensor are equal.
    """
    pytest.importorskip("torch")
    import make_checkpoint

    drawn = make_checkpoint.normal

    def repeated(shape: tuple[int, ...], scale: float, seed: int, name: str) -> torch.Tensor:
        size = math.prod(shape)
        part = drawn((min(size, 999_983),), scale, seed, name)
        return part.repeat(-(-size // len(part)))[:size].reshape(shape)

    out = tmp_path_factory.mktemp("full") / "checkpoint"
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(make_checkpoint, "normal", repeated)
        patch.setattr(sys, "argv", ["make_checkpoint.py", str(out), "--size", "full"])
        assert make_checkpoint.main() == 0
    yield out
    shutil.rmtree(out)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[HubServer, subprocess.Popen[str]]]:
    """A hub and a process that pulls from it, line by line: importing is most of what a pull costs here."""
    with HubServer(Hub(REPO, FILES)) as server, start(PULL, HF_ENDPOINT=server.url) as puller:
        yield server, puller
        _, err = puller.communicate(timeout=60)
        assert err == ""


@pytest.fixture
def machine(tmp_path: Path, running: tuple[HubServer, subprocess.Popen[str]]) -> Machine:
    server, puller = running
    server.hub = Hub(REPO, dict(FILES))
    return Machine(tmp_path / "home", server, puller)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has no settings, and a cache of Hugging Face that is empty."""
    for name in list(os.environ):
        if name.startswith(("HF_", "TTS_", "HUGGINGFACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
