"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import tts_cli

PACKAGE = Path(tts_cli.__file__).parent


def with_examples() -> list[str]:
    """The modules of the light core whose docstrings hold examples."""
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]
    names = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    return [name for name in names if not name.startswith("tts_cli.engines.chatterbox")]


@pytest.mark.parametrize("name", with_examples())
def test_what_a_docstring_shows_is_what_happens(name: str) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert not found.failed
