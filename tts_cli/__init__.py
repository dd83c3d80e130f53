"""Speak text live, while the speech is still being computed."""

__version__ = "0.1.0"
