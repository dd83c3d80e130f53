"""The bars that show how far a download is."""

from __future__ import annotations

import io

from rich.console import Console

from tests.pulling import T3
from tts_cli.cli.download_bars import download_bars
from tts_cli.engines.chatterbox.weights.download import Transfer


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
