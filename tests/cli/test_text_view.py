"""The text of the live display: it fits, and the present sentence is in it."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.harness import PATIENCE, TTS
from tests.loudspeaker import Speaker
from tts_cli.cli.text_view import LEAST_LINES, MOST_LINES, TextView
from tts_cli.subtitles.following import Following

CONSOLE = Console(file=io.StringIO(), width=200)
WORDS = st.text(st.sampled_from("aeiou,.-日本語é\x1b👍"), min_size=1, max_size=12)
SENTENCE = st.lists(WORDS, min_size=1, max_size=25).map(" ".join)


@settings(max_examples=150)
@given(
    before=st.lists(SENTENCE, max_size=4),
    present=st.lists(SENTENCE, min_size=1, max_size=3),
    after=st.lists(SENTENCE, max_size=4),
    place=st.integers(0, 2),
    width=st.integers(8, 200),
    height=st.integers(5, 60),
)
def test_the_present_sentence_is_shown_and_every_line_fits(
    before: list[str], present: list[str], after: list[str], place: int, width: int, height: int
) -> None:
    assume(place < len(present))
    start = sum(len(sentence) + 1 for sentence in present[:place])
    sentence = start, start + len(present[place])
    word = start, start + len(present[place].split(" ")[0])
    following = Following((*before, " ".join(present), *after), len(before), sentence, word)
    lines = TextView(following).lines(CONSOLE, width, height)
    assert 1 <= len(lines) <= MOST_LINES
    assert len(lines) <= max(LEAST_LINES, height)
    for line in lines:
        assert cell_len(line.plain) <= width
        assert "\x1b" not in line.plain
    marked = "".join(
        line.plain[span.start : span.end] for line in lines for span in line.spans if span.style == "underline"
    )
    first, marked = present[place].split(" ")[0], marked.replace("\ufffd", "\x1b")
    assert marked == first if cell_len(first) < width - 4 else marked in first


def test_what_was_spoken_is_dim_and_what_comes_is_plain() -> None:
    following = Following(("It rained.", "It pours. It will snow.", "Stay in."), 1, (0, 9), None)
    spoken, present, coming = TextView(following).lines(CONSOLE, 80, 24)
    assert [(spoken.plain[span.start : span.end], span.style) for span in spoken.spans] == [("It rained.", "dim")]
    assert ("It pours.", "bold") in [(present.plain[span.start : span.end], span.style) for span in present.spans]
    assert not coming.spans


@pytest.mark.slow
@pytest.mark.speaker
def test_in_a_window_that_becomes_narrow(speaker: Speaker, tmp_path: Path) -> None:
    """In tmux, at 200, 80 and 40 columns."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    text = "The harbour was quiet. " + "Two children counted the crates by the water, and an old man watched. " * 20
    command = [*TTS, "speak", text]

    def run(*arguments: str) -> str:
        done = subprocess.run([*tmux, *arguments], env=speaker.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def wait_for(*parts: str) -> list[str]:
        """Until the screen has these parts, and nothing of an earlier frame."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = run("capture-pane", "-p")
            lines = [line for line in screen.splitlines() if line.strip()]
            tidy = screen.count("TTFA") == screen.count("╭") == 1 and lines[0].startswith("╭")
            if tidy and all(part in screen for part in parts):
                return lines
            assert time.monotonic() < deadline, screen

    run("new-session", "-d", "-x", "200", "-y", "30", *command)
    try:
        wait_for("Two children counted the crates by the water, and an old man watched.")
        for width, frame in ((80, "streaming ───"), (40, "streaming ─╮")):
            run("resize-window", "-x", str(width))
            lines = wait_for(frame, "space pause", "counted the")
            assert all(cell_len(line) <= width for line in lines)
        run("send-keys", "q")
    finally:
        subprocess.run([*tmux, "kill-server"], env=speaker.environment, check=False, capture_output=True)
