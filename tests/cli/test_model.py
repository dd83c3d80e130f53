"""Weights: found where they are, pulled whole or continued, and every failure said in one line.

huggingface_hub reads its environment when it is imported, so pulls happen in other processes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

import tts_cli
from tests.hub import COMMIT, Hub, HubServer
from tts_cli.cli.download_bars import download_bars
from tts_cli.engines.chatterbox.weights.download import Transfer
from tts_cli.engines.chatterbox.weights.locate import hub_cache, installed, locate, ref_file, require_packages
from tts_cli.engines.chatterbox.weights.models import MODELS, find_model
from tts_cli.errors import MissingError, UsageError

REPO = "ResembleAI/chatterbox-turbo"
T3 = "t3_turbo_v1.safetensors"
BIG = bytes(range(256)) * 4000
SPOKEN = {
    T3: BIG,
    "s3gen_meanflow.safetensors": BIG[::-1],
    "vocab.json": b'{"a": 0}',
    "merges.txt": b"#version: 0.2\n",
}
FILES = {
    **SPOKEN,
    "ve.safetensors": b"voice encoder " * 100,
    "conds.pt": b"conditionals " * 100,
    "added_tokens.json": b"{}",
    "s3gen.safetensors": b"the flow of many steps",
    "README.md": b"# read me",
    "onnx/vocab.json": b"elsewhere",
}
WANTED = set(FILES) - {"s3gen.safetensors", "README.md", "onnx/vocab.json"}

PULL = """
import json, sys
from dataclasses import astuple
from pathlib import Path
from tts_cli.engines.chatterbox.weights.download import pull
from tts_cli.errors import TTSError
for line in sys.stdin:
    home, options = json.loads(line)
    states = []
    try:
        path = pull(report=states.append, cache=Path(home, "hub"), **options)
    except TTSError as error:
        answer = {"error": type(error).__name__, "message": error.message, "remedy": error.remedy}
    else:
        answer = {"path": str(path)}
    answer["heavy"] = sorted({"torch", "chatterbox", "hf_xet"} & set(sys.modules))
    print(json.dumps({**answer, "states": [astuple(state) for state in states]}), flush=True)
"""

UPSTREAM = """
import os, sys
from huggingface_hub import snapshot_download
patterns = ["*.safetensors", "*.json", "*.txt", "*.pt", "*.model"]
print(snapshot_download(sys.argv[1], token=os.getenv("HF_TOKEN") or None, allow_patterns=patterns))
"""


@dataclass
class Machine:
    """A home folder of its own, and processes that run there with `server` for their hub."""

    home: Path
    server: HubServer
    puller: subprocess.Popen[str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def hub(self) -> Hub:
        return self.server.hub

    @property
    def place(self) -> Path:
        return self.home / "hub" / "models--ResembleAI--chatterbox-turbo"

    @property
    def snapshot(self) -> Path:
        return self.place / "snapshots" / COMMIT

    def partials(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.place.glob("blobs/*.incomplete")}

    def run(self, code: str, *arguments: str, stdin: str = "") -> str:
        process = start(code, *arguments, **self.settings())
        out, err = process.communicate(stdin, timeout=60)
        assert process.returncode == 0, err
        assert err == ""
        return out

    def settings(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.server.url, "HF_HOME": str(self.home), **self.environment}

    def pull(self, **options: Any) -> dict[str, Any]:
        """What became of a pull, in a process of its own where this machine's environment is special."""
        line = json.dumps([str(self.home), options]) + "\n"
        if self.environment:
            out = self.run(PULL, stdin=line)
        else:
            assert self.puller.stdin is not None
            assert self.puller.stdout is not None
            self.puller.stdin.write(line)
            self.puller.stdin.flush()
            out = self.puller.stdout.readline()
        answer: dict[str, Any] = json.loads(out)
        assert answer["heavy"] == []
        return answer

    def error(self, kind: str, **options: Any) -> str:
        answer = self.pull(**options)
        assert answer.get("error") == kind, answer
        assert answer["remedy"]
        text = f"{answer['message']}; {answer['remedy']}"
        assert "\n" not in text
        return text


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TTS_"))}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**kept, "PYTHONPATH": str(Path(tts_cli.__file__).parents[1]), **environment},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


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


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("HF_", "TTS_", "HUGGINGFACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


class TestPull:
    def test_brings_what_is_needed_and_says_how_far_it_is(self, machine: Machine) -> None:
        answer = machine.pull()
        assert answer["path"] == str(machine.snapshot)
        assert {path.name for path in machine.snapshot.iterdir()} == WANTED
        assert all((machine.snapshot / name).read_bytes() == FILES[name] for name in WANTED)
        assert machine.partials() == {}
        assert locate("turbo", voice_caching=True) == machine.snapshot
        states = answer["states"]
        total = sum(len(FILES[name]) for name in WANTED)
        assert {name for name, *_ in states} == WANTED
        assert {state[4] for state in states} == {total}
        sums = [state[3] for state in states]
        assert sums == sorted(sums)
        assert sums[-1] == total
        assert all(size == len(FILES[name]) and done <= size for name, done, size, *_ in states)

    def test_upstream_finds_what_we_pulled(self, machine: Machine) -> None:
        machine.hub.files.pop("s3gen.safetensors")
        machine.hub.files.pop("onnx/vocab.json")
        machine.pull()
        machine.hub.requests.clear()
        machine.environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        assert machine.run(UPSTREAM, REPO).strip() == str(machine.snapshot)
        assert not [path for _, path, _ in machine.hub.requests if "/resolve/" in path]

    def test_what_upstream_pulled_is_found(self, machine: Machine) -> None:
        machine.environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        machine.run(UPSTREAM, REPO)
        assert locate("turbo", voice_caching=True) == machine.snapshot
        machine.hub.requests.clear()
        assert machine.pull()["path"] == str(machine.snapshot)
        assert not [path for _, path, _ in machine.hub.requests if "/resolve/" in path]

    def test_of_a_commit_or_a_tag(self, machine: Machine) -> None:
        machine.hub.revisions = ("refs/pr/1", COMMIT)
        machine.pull(revision=COMMIT)
        assert not (machine.place / "refs").exists()
        machine.pull(revision="refs/pr/1")
        assert locate(revision="refs/pr/1") == locate(revision=COMMIT) == machine.snapshot

    @pytest.mark.parametrize("torn", [b"", COMMIT[:7].encode(), b"\xff\0" * 20])
    def test_mends_a_torn_ref(self, machine: Machine, torn: bytes) -> None:
        machine.pull()
        ref = machine.place / "refs" / "main"
        ref.write_bytes(torn)
        (ref.parent / ".tts-00000000.part").write_bytes(torn)  # of a process that was killed
        assert locate("turbo", voice_caching=True) == machine.snapshot
        machine.pull()
        assert ref.read_text() == COMMIT
        assert list(ref.parent.iterdir()) == [ref]

    def test_mends_a_truncated_file(self, machine: Machine) -> None:
        machine.pull()
        (machine.snapshot / T3).resolve().write_bytes(b"stump")
        machine.pull()
        assert (machine.snapshot / T3).read_bytes() == BIG


class TestCut:
    def test_is_resumed_at_once(self, machine: Machine) -> None:
        machine.hub.cuts[T3] = [300_000, 200_000]
        assert machine.pull()["path"] == str(machine.snapshot)
        assert machine.hub.ranges(T3) == ["", "bytes=300000-", "bytes=500000-"]
        assert (machine.snapshot / T3).read_bytes() == BIG

    def test_for_good_is_resumed_by_the_next_pull(self, machine: Machine) -> None:
        machine.hub.cuts[T3] = [500_000, 0]
        text = machine.error("TTSError")
        assert "connection" in text
        assert "is kept" in text
        assert list(machine.partials().values()) == [500_000]
        with pytest.raises(MissingError, match="tts model pull turbo"):
            locate("turbo")
        (here,) = installed()
        assert (here.speaks, here.partial) == (False, 500_000)
        assert T3 in here.lacks

        states = machine.pull()["states"]
        assert machine.hub.ranges(T3)[-1] == "bytes=500000-"
        assert (machine.snapshot / T3).read_bytes() == BIG
        assert next(state for state in states if state[0] == T3)[1] == 500_000

    def test_by_a_failing_server_keeps_what_came(self, machine: Machine) -> None:
        machine.hub.cuts[T3] = [400_000]
        machine.hub.statuses[T3] = [503]
        assert "HTTP 503" in machine.error("TTSError")
        assert machine.pull()["path"] == str(machine.snapshot)
        assert machine.hub.ranges(T3) == ["", "bytes=400000-", "bytes=400000-"]

    def test_starts_over_where_ranges_are_ignored(self, machine: Machine) -> None:
        machine.hub.cuts[T3] = [500_000]
        machine.hub.ignores_range = True
        machine.pull()
        assert (machine.snapshot / T3).read_bytes() == BIG

    def test_by_ctrl_c_leaves_a_state_to_resume(self, machine: Machine) -> None:
        interrupting = PULL.replace(
            "report=states.append",
            "report=lambda state: signal.raise_signal(signal.SIGINT) if state.done > 300_000 else None",
        ).replace("import json", "import signal, json")
        process = start(interrupting, **machine.settings())
        process.communicate(json.dumps([str(machine.home), {}]) + "\n", timeout=60)
        assert process.returncode in {-signal.SIGINT, 1, 130}
        (kept,) = machine.partials().values()
        assert kept > 300_000
        machine.pull()
        assert f"bytes={kept}-" in machine.hub.ranges(T3) + machine.hub.ranges("s3gen_meanflow.safetensors")
        assert locate("turbo") == machine.snapshot


class TestDamage:
    @pytest.mark.parametrize("sent", [BIG[:-1], BIG + b"!"], ids=["short", "long"])
    @pytest.mark.parametrize("chunked", [False, True], ids=["announced", "unannounced"])
    def test_wrong_size(self, machine: Machine, sent: bytes, chunked: bool) -> None:
        machine.hub.damaged[T3] = sent
        machine.hub.chunked = chunked
        answer = machine.pull()
        assert answer["error"] == "ModelError"
        assert T3 in answer["message"]
        assert str(len(BIG)) in answer["message"]
        assert chunked or max(done for name, done, *_ in answer["states"] if name == T3) == 0
        assert machine.partials() == {}
        assert not (machine.snapshot / T3).exists()

    @pytest.mark.parametrize("name", [T3, "vocab.json"], ids=["sha256", "git"])
    def test_wrong_content(self, machine: Machine, name: str) -> None:
        machine.hub.damaged[name] = FILES[name][::-1]
        assert name in machine.error("ModelError")
        assert not (machine.snapshot / name).exists()
        machine.hub.damaged.clear()
        assert machine.pull()["path"] == str(machine.snapshot)

    def test_remains_longer_than_the_servers_file(self, machine: Machine) -> None:
        machine.hub.cuts[T3] = [500_000, 0]
        machine.error("TTSError")
        machine.hub.damaged[T3] = BIG[:400_000]
        assert T3 in machine.error("ModelError")
        assert machine.partials() == {}


class TestRefusal:
    def test_unknown_repository(self, machine: Machine) -> None:
        assert "HF_ENDPOINT" in machine.error("TTSError", name="nano")

    def test_unknown_revision(self, machine: Machine) -> None:
        assert "'v9'" in machine.error("UsageError", revision="v9")
        assert not machine.place.exists()

    def test_file_listed_but_not_there(self, machine: Machine) -> None:
        machine.hub.statuses["vocab.json"] = [404]
        assert "HTTP 404" in machine.error("TTSError")

    def test_token_is_needed_and_not_shown(self, machine: Machine) -> None:
        machine.hub.token = "hf_secret"
        text = machine.error("MissingError", token="hf_wrong")
        assert "HF_TOKEN" in text
        assert "401" in text
        assert "hf_wrong" not in text

    def test_token_is_sent_to_the_hub_and_nobody_else(self, machine: Machine) -> None:
        machine.hub.token = "hf_secret"
        machine.hub.redirects = True
        machine.hub.cuts[T3] = [300_000]
        machine.environment["HF_TOKEN"] = "hf_secret"
        assert machine.pull()["path"] == str(machine.snapshot)
        elsewhere = [headers for _, path, headers in machine.hub.requests if path == f"/elsewhere/{T3}"]
        assert [headers.get("range") for headers in elsewhere] == [None, "bytes=300000-"]
        assert not any("authorization" in headers for headers in elsewhere)

    def test_no_network(self, machine: Machine) -> None:
        machine.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
        assert "check the network" in machine.error("TTSError")

    def test_not_a_hub(self, machine: Machine) -> None:
        machine.hub.revisions = ()
        machine.hub.files = {T3: b"short"}
        machine.environment["HF_ENDPOINT"] = machine.server.url + "/nowhere"
        assert "HF_ENDPOINT" in machine.error("TTSError")

    def test_no_room(self, machine: Machine) -> None:
        machine.hub.claimed_sizes[T3] = 10**18
        text = machine.error("TTSError")
        assert "1,000.0 PB" in text or "1.0 EB" in text
        assert "free" in text
        assert not machine.place.exists()

    def test_two_at_once(self, machine: Machine) -> None:
        lock = machine.home / "hub" / ".locks" / machine.place.name / f"{hashlib.sha256(BIG).hexdigest()}.lock"
        lock.parent.mkdir(parents=True)
        with FileLock(lock):
            assert "another process" in machine.error("TTSError")

    def test_no_folder_can_be_made(self, machine: Machine) -> None:
        machine.home.write_text("a file where the cache should be")
        assert str(machine.home) in machine.error("TTSError")


class TestBars:
    def test_show_each_file_and_the_total(self) -> None:
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=True, width=100)
        with download_bars(console) as report:
            assert report is not None
            report(Transfer("a.json", 10, 10, 10, 4000))
            report(Transfer(T3, 1990, 3990, 2000, 4000))
        shown = screen.getvalue()
        assert "a.json" in shown
        assert T3 in shown
        assert "2.0/4.0 kB" in shown

    def test_are_silent_where_nobody_looks(self) -> None:
        screen = io.StringIO()
        with download_bars(Console(file=screen)) as report:
            assert report is None
        assert screen.getvalue() == ""


class TestOffline:
    @pytest.mark.parametrize("how", ["option", "HF_HUB_OFFLINE"])
    def test_asks_nobody(self, machine: Machine, how: str) -> None:
        options = {"offline": True} if how == "option" else {}
        if how != "option":
            machine.environment[how] = "1"
        text = machine.error("MissingError", **options)
        assert "offline" in text
        fill(machine.snapshot, {name: FILES[name] for name in WANTED})
        assert machine.pull(**options)["path"] == str(machine.snapshot)
        assert machine.hub.requests == []


class TestLocate:
    def test_folder_given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fill(tmp_path / "weights", SPOKEN)
        assert locate("turbo", folder) == folder
        monkeypatch.setenv("TTS_MODEL_DIR", str(folder))
        assert locate("turbo") == folder
        with pytest.raises(MissingError, match=r"lacks ve\.safetensors"):
            locate("turbo", voice_caching=True)
        with pytest.raises(MissingError, match="--model turbo"):
            locate("nano")
        with pytest.raises(MissingError, match="no folder"):
            locate("turbo", tmp_path / "elsewhere")

    def test_one_tokenizer_file_will_do(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, {T3: b"", "s3gen_meanflow.safetensors": b"", "tokenizer.json": b"{}"})
        assert locate("turbo", folder) == folder

    def test_main_goes_before_newer_ones_that_may_be_broken(self, tmp_path: Path) -> None:
        place = tmp_path / "home" / "hub" / "models--ResembleAI--chatterbox-turbo"
        main = fill(place / "snapshots" / ("a" * 40), SPOKEN)
        other = fill(place / "snapshots" / ("b" * 40), SPOKEN)
        fill(place / "refs", {"main": b"a" * 40})
        assert locate("turbo") == main
        assert locate("turbo", revision="b" * 40) == other
        (main / T3).unlink()
        assert locate("turbo") == other
        with pytest.raises(MissingError, match="tts model pull turbo --revision v2"):
            locate("turbo", revision="v2")

    def test_the_newest_one_serves_where_there_is_no_main(self, tmp_path: Path) -> None:
        place = tmp_path / "home" / "hub" / "models--ResembleAI--chatterbox-turbo"
        for digit, age in (("a", 30), ("b", 10), ("c", 20)):
            snapshot = fill(place / "snapshots" / (digit * 40), SPOKEN)
            os.utime(snapshot, (0, 1_000_000 - age))
        assert locate("turbo").name == "b" * 40

    def test_lists_what_is_here(self, tmp_path: Path) -> None:
        folder = fill(tmp_path / "weights", {**SPOKEN, "ve.safetensors": b"12345"})
        place = tmp_path / "home" / "hub" / "models--ResembleAI--chatterbox-nano"
        snapshot = fill(place / "snapshots" / ("a" * 40), {"merges.txt": b"123"})
        turbo, nano = installed(folder)
        assert (turbo.model.name, turbo.path, turbo.lacks, turbo.speaks) == ("turbo", folder, (), True)
        assert turbo.size == 5 + sum(map(len, SPOKEN.values()))
        assert (nano.model.name, nano.path, nano.size, nano.speaks) == ("nano", snapshot, 3, False)
        assert MODELS["nano"].t3 in nano.lacks

    def test_needs_neither_torch_nor_the_hub(self, machine: Machine) -> None:
        code = "import sys, tts_cli.engines.chatterbox.weights.locate as m; m.installed(); print(*sys.modules)"
        assert not {"torch", "huggingface_hub", "chatterbox"} & set(machine.run(code).split())

    def test_names_the_packages_that_are_missing(self, machine: Machine) -> None:
        with pytest.raises(UsageError, match="turbo, nano"):
            find_model("large")
        require_packages()
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from tts_cli.engines.chatterbox.weights.locate import locate, require_packages\n"
            "for call in (require_packages, locate):\n"
            "    try: call()\n"
            "    except Exception as error: print(error)"
        )
        assert machine.run(code).count("pip install") == 2

    @pytest.mark.parametrize("revision", ["../main", "/etc", "", "a/../../b", "a\\b"])
    def test_no_revision_leads_out_of_the_cache(self, tmp_path: Path, revision: str) -> None:
        with pytest.raises(UsageError):
            ref_file(tmp_path, revision)

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"XDG_CACHE_HOME": "~/xdg"},
            {"HF_HOME": "$HOME/hf"},
            {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old"},
            {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "~/new"},
        ],
        ids=lambda environment: "+".join(environment) or "nothing",
    )
    def test_agrees_with_huggingface_hub_on_the_place(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, machine: Machine
    ) -> None:
        for name in ("HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
        theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert str(hub_cache()) == theirs.strip()
