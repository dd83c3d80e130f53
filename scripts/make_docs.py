"""Write the parts of the documentation that are made from the program: commands, live display and modules.

python scripts/make_docs.py            write all
python scripts/make_docs.py --check    write nothing; name the files that are stale, and exit with 1 if there are any
"""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from tts_cli.cli import app
from tts_cli.cli.display import View, render
from tts_cli.metrics import Snapshot
from tts_cli.playback import SinkStatus
from tts_cli.subtitles.following import Following

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
HELP_WIDTH = 100
PICTURE_WIDTH = 76


CLI_HEAD = """\
# Commands

The `--help` of every command, written by `scripts/make_docs.py`.
"""

# As a real run showed it, on two busy cores: four sentences in a file, four seconds into the sound.
STORY = (
    "The harbour was quiet when the first boats came in.",
    "Gulls circled above the fish market, and two children counted the crates.",
    "On the quay an old man mended his nets; he had done so for forty years.",
    "Nobody hurried, and the ferry was late again.",
)
PICTURED_COMMAND = "tts speak -f story.txt"
PICTURED = View(
    engine="builtin",
    voice="heart",
    mode="streaming",
    precision="",
    state="finishing",
    run=Snapshot(ttfa=0.067, computed=0.317, sound=17.594, chunks=45, characters=312),
    sink=SinkStatus(delivered=17.594, playing=True, buffered=13.569, needed=0.125, rate=24_000),
    following=Following(STORY, 1, (0, len(STORY[1])), (STORY[1].index("market"), STORY[1].index(", and"))),
    keys="space pause  ←→ sentence  ↑↓ speed 1.0  +- volume +0 dB  q quit",
)


def main() -> int:
    """Write or check; return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, content in documents():
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            continue
        stale += 1
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return 1 if check and stale else 0


def documents() -> Iterator[tuple[Path, str]]:
    """Each generated file, with its content."""
    yield ROOT / "docs/cli.md", cli_markdown()
    yield ROOT / "docs/images/live.svg", picture()
    yield ROOT / "docs/architecture.md", architecture()


def cli_markdown() -> str:
    """The `--help` of every command, each under a heading."""
    parts = [CLI_HEAD]
    every = list(commands())
    parts += [
        f"## `{' '.join(words)}`\n\n```text\n{said}\n```\n" for words, said in zip(every, helps(every), strict=True)
    ]
    return "\n".join(parts)


def architecture() -> str:
    """The page on the architecture, with the table of modules and the list of layers between their marks."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for name, content in (("modules", modules()), ("layers", layers())):
        begin, end = f"<!-- The {name}: written by scripts/make_docs.py. -->", f"<!-- The end of the {name}. -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{content}{end}{after}"
    return page


def layers() -> str:
    """The layers of the package, the highest first, from the contract in `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (found,) = (each["layers"] for each in contracts if each.get("containers") == ["tts_cli"])
    return "\n" + "".join(f"    {layer}\n" for layer in found) + "\n"


def modules() -> str:
    """A table for each package: its modules, and the first sentence of each one's docstring."""
    parts = []
    for folder in sorted({file.parent for file in (ROOT / "tts_cli").rglob("*.py")}):
        rows = [f"| `{file.relative_to(ROOT)}` | {_first_sentence(file)} |" for file in sorted(folder.glob("*.py"))]
        parts.append("\n".join([f"\n| `{folder.relative_to(ROOT)}/` | |", "|---|---|", *rows, ""]))
    return "".join(parts)


def _first_sentence(file: Path) -> str:
    words = " ".join(
        (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n\n")[0].split()
    )
    return re.split(r"(?<=[.:]) (?=[A-Z`])", words)[0].rstrip(".:")


def commands() -> Iterator[list[str]]:
    """The words of each command: `tts`, `tts speak`, …"""
    yield from _walk(typer.main.get_command(app), ["tts"])


def _walk(command: Any, words: list[str]) -> Iterator[list[str]]:
    yield words
    if isinstance(command, TyperGroup):
        context = command.make_context(words[-1], [], resilient_parsing=True)
        for name in command.list_commands(context):
            yield from _walk(command.get_command(context, name), [*words, name])


ALL_HELPS = """
import sys
from tts_cli.cli import app
for line in sys.argv[1:]:
    name, *words = line.split()
    app([*words, "--help"], prog_name=name, standalone_mode=False)
    print(end="\\f")
"""


def helps(every: Sequence[Sequence[str]]) -> list[str]:
    """What `--help` of each command prints, without colours and at a fixed width, whatever the environment.

    Parameters
    ----------
    every
        The commands, each such as `tts speak`, in words.
    """
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": path,
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
        "COLUMNS": str(HELP_WIDTH),
    }
    command = [sys.executable, "-c", ALL_HELPS, *map(" ".join, every)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, encoding="utf-8")
    return [
        "\n".join(line.rstrip() for line in said.strip("\n").splitlines()).strip("\n")
        for said in done.stdout.split("\f")[:-1]
    ]


def picture() -> str:
    """The live display as an SVG, by Rich's own export."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=PICTURE_WIDTH,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Text.assemble(("$ ", "dim"), PICTURED_COMMAND))
    console.print(render(PICTURED, PICTURE_WIDTH))
    svg = console.export_svg(title="tts speak", unique_id="live")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
