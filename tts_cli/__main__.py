"""`tts`, and `python -m tts_cli`."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from tts_cli.cli import run

    run()


if __name__ == "__main__":
    main()
