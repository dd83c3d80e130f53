"""Cores that a process may use, in trees of control groups as Linux shows them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tts_cli.cores import cores, quota

MANY = 16
"""Cores of the machine."""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(MANY)), raising=False)


def tree(root: Path, member: str, **files: str) -> Path:
    """A file system in which this process is a `member`; `a__b` names the file `b` of the group `a`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(member)
    for name, content in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("max 100000\n", MANY),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("9900000 100000\n", MANY),
        ("30000 10000\n", 3),
        ("", MANY),
        ("100000 0\n", MANY),
        ("² 100000\n", MANY),
    ],
)
def test_a_quota_of_version_2(tmp_path: Path, told: str, number: int) -> None:
    assert cores(tree(tmp_path, "0::/\n", **{"cpu.max": told})) == number


def test_the_narrowest_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "a/b/c/cpu.max": "800000 100000"}
    assert cores(tree(tmp_path, "0::/a/b/c\n", **files)) == 3
    assert quota(tmp_path) == 3.0


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
@pytest.mark.parametrize(("quota", "number"), [("-1", MANY), ("250000", 3), ("100000", 1)])
def test_a_quota_of_version_1(tmp_path: Path, controllers: str, quota: str, number: int) -> None:
    member = f"5:memory:/m\n4:{controllers}:/a/b\n3:cpuset:/c\n0::/\n"
    group = f"{controllers}/a"
    files = {f"{group}/cpu.cfs_quota_us": f"{quota}\n", f"{group}/cpu.cfs_period_us": "100000\n"}
    assert cores(tree(tmp_path, member, **files)) == number


def test_a_container_that_is_told_its_group_on_the_host(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert cores(tree(tmp_path, "4:cpu,cpuacct:/docker/0123\n", **files)) == 4


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    files = {"unified/a/cpu.max": "200000 100000\n", "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert cores(tree(tmp_path, "1:cpu:/\n0::/a\n", **files)) == 2


@pytest.mark.parametrize("member", ["0::/../../x\n", "nonsense\n", "", "0::/gone\n"])
def test_what_cannot_be_read_limits_nothing(tmp_path: Path, member: str) -> None:
    assert cores(tree(tmp_path, member)) == MANY
    assert cores(tmp_path / "none") == MANY
    assert quota(tmp_path / "none") is None


def test_a_system_without_affinity_and_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cores(tmp_path) == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(tmp_path) == 1
