"""The entry point of `tts` and of `python -m tts_cli`."""

from __future__ import annotations

import sys

from tts_cli import signals

signals.listen()  # first of all: Ctrl-C may come while the rest is imported


def main() -> None:
    """Run the command line and exit with its code."""
    from tts_cli.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
