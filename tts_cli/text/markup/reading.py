"""How to read a text: its format, and what to do with code blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from tts_cli.checks import one_of
from tts_cli.text.markup.code import Code
from tts_cli.text.markup.stage import Markup, NoMarkup

Format: TypeAlias = Literal["auto", "plain", "markdown"]
DEFAULT_FORMAT: Final[Format] = "auto"
DEFAULT_CODE: Final[Code] = "announce"
MARKDOWN_FILES: Final = (".md", ".markdown")


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a text.

    Parameters
    ----------
    format
        `markdown`, `plain` or `auto`. With `auto`, a file named `.md` or `.markdown` is Markdown, and only marks that
        cannot be anything else are removed from any other text.
    code
        What to do with code blocks: `announce` speaks their language only, `skip` speaks nothing, and `speak` speaks
        the code.

    Raises
    ------
    UsageError
        If a value is not one of these.

    Examples
    --------
    >>> Reading().of_file(Path("article.md")).format
    'markdown'
    """

    format: Format = DEFAULT_FORMAT
    code: Code = DEFAULT_CODE

    def __post_init__(self) -> None:
        one_of("format", self.format, get_args(Format))
        one_of("code", self.code, get_args(Code))

    def of_file(self, path: Path) -> Reading:
        """How to read the file `path`."""
        is_markdown = self.format == "auto" and path.suffix.lower() in MARKDOWN_FILES
        return replace(self, format="markdown") if is_markdown else self

    def markup(self) -> Markup:
        """A new stage that reads one text."""
        if self.format == "plain":
            return NoMarkup()
        if self.format == "auto":
            from tts_cli.text.markup.light import LightMarkup

            return LightMarkup(self.code)
        from tts_cli.text.markup.markdown import Markdown

        return Markdown(self.code)


DEFAULT: Final = Reading()
