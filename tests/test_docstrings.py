"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import tts_cli

PACKAGE = Path(tts_cli.__file__).parent
CHATTERBOX = "tts_cli.engines.chatterbox"


def with_examples() -> list[str]:
    """The modules whose docstrings hold examples; without torch, those outside of Chatterbox."""
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]
    names = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    return [name for name in names if find_spec("torch") or not name.startswith(CHATTERBOX)]


@pytest.mark.parametrize("name", with_examples())
def test_what_a_docstring_shows_is_what_happens(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module(name)
    monkeypatch.chdir(tmp_path)  # some examples write a file
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed
