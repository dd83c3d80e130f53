"""Weights: found where they are, pulled whole or continued, and every failure said in one line.

huggingface_hub reads its environment when it is imported, so pulls happen in other processes.
"""

from __future__ import annotations

import hashlib
import json
import signal

import pytest
from filelock import FileLock

from tests.hub import COMMIT
from tests.pulling import BIG, FILES, PULL, REPO, T3, UPSTREAM, WANTED, Machine, fill, start
from tts_cli.engines.chatterbox.weights.locate import installed, locate
from tts_cli.errors import MissingError

pytestmark = pytest.mark.usefixtures("own_home")


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
