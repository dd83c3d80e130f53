"""The panel of `tts serve` in terminals of each width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tts_cli.cli.serve_panel import render
from tts_cli.server.monitoring import Glance

SHOWN = Glance(3, 8, 1, 16, 0.074, 0.084, 12345, 67890.5, 6)
VALUES = ["listeners 3 of 8", "queue 1 of 16", "TTFA 74 ms", "RTF 0.084", "utterances 12345", "spoken 67890.5 s"]


@pytest.mark.parametrize(("width", "lines"), [(200, 6), (80, 6), (60, 6), (59, 9), (40, 9), (30, 9)])
def test_no_value_is_cut(width: int, lines: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    title = "tts serve · builtin/heart · http://127.0.0.1:8765"
    console.print(render(SHOWN, title, width))
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue().splitlines()
    assert len(drawn) == lines
    assert (title in drawn[0]) == (width >= len(title) + 6)
    assert "tts serve" in drawn[0]
    text = " ".join(" ".join(drawn).split())
    assert all(value in text for value in [*VALUES, "errors 6"]), drawn
