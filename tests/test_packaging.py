"""What the package holds, and what is checked before a commit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import PATIENCE, ROOT

CONFIG = ROOT / ".pre-commit-config.yaml"


def test_the_package_holds_every_module_and_the_page_and_says_that_it_is_typed(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tts_cli", tmp_path / "tts_cli", ignore=shutil.ignore_patterns("__pycache__"))
    build = ("import setuptools; setuptools.setup()", "build_py", "--build-lib", "built")
    command = [sys.executable, "-c", *build]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    packed = {str(file.relative_to(tmp_path / "built")) for file in (tmp_path / "built").rglob("*") if file.is_file()}
    sources = [*(ROOT / "tts_cli").rglob("*.py"), *(ROOT / "tts_cli/server/page").iterdir()]
    assert packed == {str(file.relative_to(ROOT)) for file in sources} | {"tts_cli/py.typed"}


def test_a_commit_is_held_to_the_checks_of_the_test_command() -> None:
    checked = {
        command.replace(" --check", "")  # before a commit, ruff format mends what scripts/test would refuse
        for command in re.findall(r"^(?:ruff|mypy|lint-imports).*$", (ROOT / "scripts/test").read_text(), re.MULTILINE)
    }
    entries = re.findall(r"^ +entry: \.venv/bin/(.*)$", CONFIG.read_text(), re.MULTILINE)
    assert checked
    assert {entry.replace(" --force-exclude", "") for entry in entries} == checked


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose one staged file is not formatted, with our hooks and this environment's tools."""
    shutil.copy(CONFIG, tmp_path / CONFIG.name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "example.py").write_text('"""An example."""\n\nNAMES = [ "one" ]\n')
    for words in (["init", "--quiet"], ["add", "example.py", CONFIG.name]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_an_unformatted_file_is_stopped_and_mended_without_a_network(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path_factory.mktemp("pre-commit")))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    def commit_checks() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "ruff-format"],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    stopped = commit_checks()
    assert (stopped.returncode, "files were modified by this hook" in stopped.stdout) == (1, True), stopped
    assert 'NAMES = ["one"]' in (repository / "example.py").read_text()
    subprocess.run(["git", "add", "example.py"], cwd=repository, check=True)
    passed = commit_checks()
    assert passed.returncode == 0, passed
