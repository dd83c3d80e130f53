"""`tts`, and `python -m tts_cli`."""

from __future__ import annotations

import sys

from tts_cli import signals

signals.listen()  # the first thing that happens: Ctrl-C comes also while the rest is being imported


def main() -> None:
    """Run the command line and exit with its code."""
    from tts_cli.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
