"""Check that wheels of all packages for speaking exist, for each Python and system that README names.

python scripts/resolve.py              every pair of a Python and a system: half a minute
python scripts/resolve.py 3.14         only for this Python

pip looks for wheels and installs nothing. The exit code is 1 if a wheel is missing. Needs Python 3.11 or newer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHONS: Final = ("3.10", "3.11", "3.12", "3.13", "3.14")
SYSTEMS: Final = {
    "Linux x86-64": (
        [f"manylinux_2_{glibc}_x86_64" for glibc in range(28, 16, -1)] + ["manylinux2014_x86_64"],
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"},
    ),
    "macOS arm64": (
        [f"macosx_{version}_0_{kind}" for version in range(14, 10, -1) for kind in ("arm64", "universal2")],
        {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64", "os_name": "posix"},
    ),
}
"""The wheels that Debian 12 and macOS 14 take, and what environment markers read there."""


def resolve(python: str, platforms: list[str], markers: dict[str, str], wanted: list[str]) -> dict[str, str]:
    """The version of every package that `wanted` requires. Raises `ValueError` with pip's message if one is missing.

    pip chooses wheels for another system, but reads environment markers as if it were this one, so what they ask for
    there is asked for by name, until nothing is missing.

    Parameters
    ----------
    python
        A version such as `3.12`.
    platforms
        The platform tags of wheels that the system takes.
    markers
        What environment markers read there.
    wanted
        Requirements, as in pyproject.toml.
    """
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    } | markers
    asked = _needed(wanted, environment)
    while True:
        found = _ask_pip(python, platforms, asked)
        versions: dict[str, str] = {canonicalize_name(each["name"]): str(each["version"]) for each in found}
        needed = [need for each in found for need in _needed(each.get("requires_dist", []), environment)]
        missing = {need for need in needed if canonicalize_name(Requirement(need).name) not in versions}
        if not missing:
            return versions
        asked = [*asked, *sorted(missing)]


def _needed(requirements: Iterable[str], environment: dict[str, str]) -> list[str]:
    parsed = map(Requirement, requirements)
    applying = [each for each in parsed if each.marker is None or each.marker.evaluate(environment)]
    for each in applying:
        each.marker = None
    return [str(each) for each in applying]


def _ask_pip(python: str, platforms: list[str], requirements: list[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"),
            *(
                "--only-binary=:all:",
                f"--target={folder}/packages",
                "--implementation=cp",
                f"--python-version={python}",
            ),
            *(f"--platform={platform}" for platform in platforms),
            *(f"--report={report}", *requirements),
        ]
        # A limit that was set for this machine's Python says nothing about others.
        environment = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            raise ValueError("\n".join(errors) or done.stderr)
        return [each["metadata"] for each in json.loads(report.read_text())["install"]]


def dependencies() -> list[str]:
    """The packages for speaking, from pyproject.toml."""
    if sys.version_info >= (3, 11):
        import tomllib

        return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    sys.exit("scripts/resolve.py needs Python 3.11 or newer")


def check(python: str, system: str, wanted: list[str]) -> bool:
    """Print what pip finds for this Python on this system; return whether it finds everything.

    Parameters
    ----------
    python
        A version such as `3.12`.
    system
        A name in `SYSTEMS`.
    wanted
        Requirements, as in pyproject.toml.
    """
    try:
        versions = resolve(python, *SYSTEMS[system], wanted)
    except ValueError as error:
        print(f"{python} {system}: {error}", flush=True)
        return False
    print(f"{python} {system}: {len(versions)} packages", flush=True)
    return True


def main(pythons: list[str]) -> None:
    wanted = dependencies()
    found = [check(python, system, wanted) for python in pythons or PYTHONS for system in SYSTEMS]
    sys.exit(not all(found))


if __name__ == "__main__":
    main(sys.argv[1:])
