"""Speak a text while it is being written, as a language model writes it: word by word."""

from collections.abc import Iterator

import tts_cli


def written() -> Iterator[str]:
    """The pieces of a text, as they come."""
    for word in ["The", "first", "sentence", "is", "spoken.", "Meanwhile", "the", "second", "one", "is", "written."]:
        yield word + " "


with tts_cli.load("builtin") as tts:
    for chunk in tts.stream(written()):
        print(f"{chunk.seconds:.2f} s of {chunk.segment.text!r}")
