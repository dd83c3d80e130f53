"""The sample rate of Chatterbox. Every command reads it, so it is imported without the rest of the configuration."""

from typing import Final

SAMPLE_RATE: Final = 24_000
"""Samples a second of the sound that HiFT makes."""
