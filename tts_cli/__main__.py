"""`tts`, and `python -m tts_cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from tts_cli.cli import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # `errors.INTERRUPTED`, which may not be imported yet


if __name__ == "__main__":
    main()
