"""When the chunks of a run are heard, and the picture of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tts_cli.errors import MissingError, OutputError, UsageError
from tts_cli.measure.timeline import Arrival, check_plot, play, plot


class TestPlay:
    def test_in_time(self) -> None:
        heard = play([Arrival(1.0, 0.5, 0.0), Arrival(1.2, 0.5, 0.0)])
        np.testing.assert_allclose(heard.spans, [(1.0, 2.0)])
        corners = [(1.0, 0.0), (1.0, 0.5), (1.2, 0.3), (1.2, 0.8), (2.0, 0.0)]
        np.testing.assert_allclose(heard.level, corners, atol=1e-9)

    def test_late(self) -> None:
        heard = play([Arrival(1.0, 0.5, 0.0), Arrival(2.0, 0.5, 0.0)])
        assert heard.spans == [(1.0, 1.5), (2.0, 2.5)]
        assert heard.level == [(1.0, 0.0), (1.0, 0.5), (1.5, 0.0), (2.0, 0.0), (2.0, 0.5), (2.5, 0.0)]

    def test_gathered_first(self) -> None:
        heard = play([Arrival(1.0, 0.5, 0.8), Arrival(2.0, 0.5, 0.8), Arrival(2.5, 0.5, 0.8)])
        assert heard.spans == [(2.0, 3.5)]

    def test_the_end_waits_for_nothing(self) -> None:
        assert play([Arrival(1.0, 0.5, 9.0), Arrival(2.0, 0.5, 9.0)]).spans == [(2.0, 3.0)]

    def test_nothing(self) -> None:
        assert play([]).spans == play([]).level == []


class TestPlot:
    runs: ClassVar = {"one": [Arrival(0.1, 0.4, 0.1), Arrival(0.7, 0.4, 0.1)], "two": [Arrival(0.2, 0.8, 0.0)]}

    def test_a_picture_and_nothing_else(self, tmp_path: Path) -> None:
        file = tmp_path / "timeline.png"
        file.write_text("what was there before")
        check_plot(file)
        plot(self.runs, "title", file)
        assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert list(tmp_path.iterdir()) == [file]

    def test_what_cannot_be_written(self, tmp_path: Path) -> None:
        for wrong in ("x.jpg", "none/x.png", "dir.png"):
            (tmp_path / "dir.png").mkdir(exist_ok=True)
            with pytest.raises(UsageError):
                check_plot(tmp_path / wrong)
        with pytest.raises(OutputError, match="cannot write"):
            plot(self.runs, "title", Path("/proc/x.png"))

    def test_without_matplotlib(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(MissingError, match=re.escape("pip install '.[plot]'")):
            check_plot(tmp_path / "x.png")
