"""Shows the text that is heard: what was spoken dim, the present sentence bright, its word marked, the rest plain."""

from __future__ import annotations

from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from tts_cli.printable import harmless
from tts_cli.subtitles.following import Following

MOST_LINES: Final = 7
LEAST_LINES: Final = 3
LINES_BEFORE: Final = 2
"""Lines of what was spoken above the present sentence."""
OTHER_LINES: Final = 12
"""Lines of a terminal that the text leaves free, for the rest of the display and the prompt."""


class TextView:
    """The text as lines that fit the terminal. Each segment begins on a line of its own, so lines stay as they are.

    Parameters
    ----------
    following
        What is heard.
    """

    def __init__(self, following: Following) -> None:
        self._following = following

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See Rich's console protocol."""
        yield from self.lines(console, options.max_width, console.height)

    def lines(self, console: Console, width: int, height: int) -> list[Text]:
        """Make the lines to show.

        Parameters
        ----------
        console
            Wraps the text.
        width, height
            Columns and lines of the terminal.

        Returns
        -------
        list of Text
            At least `LEAST_LINES` and at most `MOST_LINES`, if the text is that long, with the present word in them.
        """
        room = max(LEAST_LINES, min(MOST_LINES, height - OTHER_LINES))
        found: list[Text] = []
        first = last = 0
        for number, text in enumerate(self._styled()):
            lines = list(text.wrap(console, max(1, width - 2)))
            if number == self._following.present:
                first, last = (len(found) + _line_with(lines, text.plain, place) for place in self._place())
            found += [Text(" ").append_text(line) for line in lines]
        top = max(0, min(first - LINES_BEFORE, len(found) - room))
        top = max(top, last - room + 1)
        return found[top : top + room]

    def _place(self) -> tuple[int, int]:
        """The characters to be seen: the first of the sentence, and the last of the word, or else the first again."""
        start, stop = self._following.sentence
        return start, (self._following.word or (start, min(stop, start + 1)))[1] - 1

    def _styled(self) -> list[Text]:
        """The segments, each with its styles."""
        found = []
        for number, shown in enumerate(map(_harmless, self._following.texts)):
            text = Text(shown)
            if number < self._following.present:
                text.stylize("dim")
            elif number == self._following.present:
                start, stop = self._following.sentence
                text.stylize("dim", 0, start)
                text.stylize("bold", start, stop)
                if self._following.word is not None:
                    text.stylize("underline", *self._following.word)
            found.append(text)
        return found


def _harmless(text: str) -> str:
    """`text` with each character that would control the terminal replaced by one sign, so that indices stay valid."""
    return "".join(char if harmless(char) == char else "\ufffd" for char in text)


def _line_with(lines: list[Text], text: str, character: int) -> int:
    """Which of the `lines` that `text` was wrapped into holds a character of it."""
    at = 0
    for number, line in enumerate(lines):
        plain = line.plain.rstrip()
        at = text.index(plain, at) + len(plain)
        if character < at:
            return number
    return max(0, len(lines) - 1)
