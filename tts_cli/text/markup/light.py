"""Removes marks from text that may be Markdown: only those that cannot be anything else.

- Fences, and the code between them.
- The marks of a heading at the beginning of its line. The heading is a sentence of its own.
- Emphasis and links; `light_marks` says which.

Where a mark may begin, text is held back until it is known whether it is one, but at most `LONGEST` characters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Final

from tts_cli.text.markup.code import Code, Fence, announcement
from tts_cli.text.markup.light_marks import LONGEST, MARK, TooEarlyError, read_mark
from tts_cli.text.markup.stage import BLOCK, Passage
from tts_cli.text.pauses import Patience

_LINE_BEGIN: Final = re.compile(r"[ \t]*(?:#{1,6}[ \t]+|#{0,6}\Z|`{1,2}\Z|`{3}|~{1,2}\Z|~{3})")
_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(?=[^\s#])")
_STOP: Final = re.compile(rf"\n|{MARK.pattern}")
_STOP_IN_HEADING: Final = re.compile(rf"{_STOP.pattern}|(?<![ \t])[ \t]+(?:#+[ \t]*)?(?=\n|\Z)")


class LightMarkup:
    """Removes what is certainly markup. The result does not depend on how the text was cut into pieces.

    Parameters
    ----------
    code
        What to do with code blocks; see `Reading`.

    Examples
    --------
    >>> light = LightMarkup("announce")
    >>> "".join(text for text, _ in light.feed("# A *new* day\\nSee [here](https://example.com). "))
    'A new day\\nSee here. '
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._reset()

    def _reset(self) -> None:
        self._text = ""  # what was not given yet
        self._before = "\n"  # the character before it
        self._fence: Fence | None = None
        self._heading = False

    def feed(self, piece: str) -> list[Passage]:
        """See `Markup.feed`."""
        passages: list[Passage] = []
        for start in range(0, len(piece), BLOCK):
            self._text += self._newlines.decode(piece[start : start + BLOCK])
            passages += self._known(final=False)
        return passages

    def pause(self, patience: Patience) -> list[Passage]:
        """See `Markup.pause`.

        After the pause for words, a mark that is not complete is given as it is, but not at the beginning of a line.
        """
        if patience == "sentences" or self._fence or self._begins_line(final=False):
            return []
        return list(self._known(final=True))

    def finish(self) -> list[Passage]:
        """See `Markup.finish`."""
        self._text += self._newlines.decode("", final=True)
        rest = list(self._known(final=True))
        self._newlines.reset()
        self._reset()
        return rest

    def _known(self, final: bool) -> Iterator[Passage]:
        while held := len(self._text):
            if self._fence or self._begins_line(final):
                line, newline, _ = self._text[:LONGEST].partition("\n")
                if not newline and not final and len(line) < LONGEST:
                    return
                yield from self._marked_line(line + newline)
            else:
                yield from self._words(final)
                if len(self._text) == held:
                    return

    def _begins_line(self, final: bool) -> bool:
        """Whether the held text begins with a line of marks, or with what may become one."""
        found = _LINE_BEGIN.match(self._text) if self._before == "\n" else None
        if found is None:
            return False
        if "#" in found[0] or (final and not found[0].strip()):
            # The first character of its text shows that it is a heading.
            return not final and found.end() == len(self._text) < LONGEST
        return True

    def _marked_line(self, line: str) -> Iterator[Passage]:
        """Read a line of a code block, or a line that may open one."""
        is_whole, self._before = self._before == "\n", line[-1]
        self._text = self._text[len(line) :]
        if self._fence is None:
            self._fence = Fence.opened_by(line)
            if self._fence is None:
                yield Passage(line)
                return
            yield Passage("", ended=True)
            if self._code == "announce":
                yield Passage(announcement(self._fence.info), ended=True)
                yield Passage("\n")
        elif is_whole and self._fence.is_closed_by(line):
            self._fence = None
        elif self._code == "speak":
            yield Passage(line, ended=line.endswith("\n"))

    def _words(self, final: bool) -> Iterator[Passage]:
        """Read up to the end of a line, or to the first mark that is not complete."""
        text, at = self._text, 0
        if self._before == "\n" and (heading := _HEADING.match(text)):
            at, self._heading, self._before = heading.end(), True, " "
            yield Passage("", ended=True)
        stops = _STOP_IN_HEADING if self._heading else _STOP
        while stop := stops.search(text, at):
            if stop.start() > at:
                yield Passage(text[at : stop.start()])
                at = stop.start()
            if stop[0] == "\n":
                break
            try:
                if stop[0][0] in " \t":  # the end of a heading, perhaps with marks
                    if stop.end() == len(text) and not final:
                        raise TooEarlyError
                    at = stop.end()
                else:
                    at, spoken = read_mark(text, stop, self._before, final)
                    yield Passage(spoken)
            except TooEarlyError:
                self._leave(at)
                return
        if stop is None:
            yield Passage(text[at:])
            self._leave(len(text))
            return
        yield Passage("", ended=self._heading)
        yield Passage("\n")
        self._heading = False
        self._leave(at + 1)

    def _leave(self, at: int) -> None:
        """Remove the text before `at`, which was given."""
        if at:
            self._before = self._text[at - 1]
        self._text = self._text[at:]
