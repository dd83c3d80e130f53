"""`scripts/resolve.py`: pip's answer for other Pythons and systems, with their environment markers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from resolve import SYSTEMS, resolve


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only ones that pip finds."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    add_wheel(tmp_path, "voice", "py3-none-any", 'backport; python_version < "3.11"', 'mac; sys_platform == "darwin"')
    add_wheel(tmp_path, "backport", "cp310-cp310-manylinux_2_17_x86_64")
    add_wheel(tmp_path, "backport", "cp310-cp310-macosx_11_0_arm64")
    add_wheel(tmp_path, "mac", "cp310-abi3-macosx_11_0_arm64")
    add_wheel(tmp_path, "linux", "cp311-cp311-manylinux_2_28_x86_64")
    return tmp_path


def add_wheel(folder: Path, name: str, tag: str, *requirements: str) -> None:
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


@pytest.mark.parametrize(
    ("python", "system", "expected"),
    [
        ("3.10", "macOS arm64", {"voice", "backport", "mac"}),
        ("3.14", "Linux x86-64", {"voice"}),
    ],
)
def test_what_is_needed_elsewhere_is_read_with_the_markers_of_there(
    index: Path, python: str, system: str, expected: set[str]
) -> None:
    assert set(resolve(python, *SYSTEMS[system], ["voice"])) == expected


def test_a_wheel_that_is_missing_is_named(index: Path) -> None:
    wanted = ['linux; sys_platform == "linux"']
    assert set(resolve("3.11", *SYSTEMS["Linux x86-64"], wanted)) == {"linux"}
    with pytest.raises(ValueError, match="No matching distribution found for linux"):
        resolve("3.14", *SYSTEMS["Linux x86-64"], wanted)
    assert resolve("3.14", *SYSTEMS["macOS arm64"], ["mac", *wanted]) == {"mac": "1.0"}
