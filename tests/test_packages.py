"""Each package's docstring says what modules outside may use, and they use nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tts_cli

ROOT = Path(tts_cli.__file__).parent
PACKAGES = sorted(file.parent for file in ROOT.rglob("*/__init__.py"))


def imported(file: Path) -> Iterator[str]:
    """The names of all that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


IMPORTS = {file: set(imported(file)) for file in ROOT.rglob("*.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(ROOT)))
def test_modules_outside_use_what_the_package_says(package: Path) -> None:
    name = ".".join(package.relative_to(ROOT.parent).parts)
    inside = {file.stem for file in package.glob("*.py")} | {file.parent.name for file in package.glob("*/__init__.py")}
    outside = {each for file, found in IMPORTS.items() if package not in file.parents for each in found}
    used = {each.removeprefix(f"{name}.").split(".")[0] for each in outside if each.startswith(f"{name}.")} & inside
    words = " ".join(
        (ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or "").split()
    )
    found = re.search(r"Modules outside\b(.*)", words)
    assert found, "it does not say what modules outside use"
    allowed, _, excluded = found[1].partition("all of these but")
    if excluded:
        assert not used & set(re.findall(r"`(\w+)", excluded.partition(".")[0]))
    elif "all of these" not in allowed:
        assert used <= set(re.findall(r"`(\w+)", allowed))
