"""When the built-in voice says which word, from the lengths that its model gives each phoneme.

The model computes these lengths on its way to the spectra, but its file does not name them as a result. `with_lengths`
adds that to the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final

from tts_cli.audio import SpokenWord
from tts_cli.engines.builtin import SAMPLE_RATE

LENGTHS: Final = "/Clip_output_0"
"""The name of the lengths in the model's graph (hibari-tts 0.2.1)."""
LENGTH_UNIT: Final = 600
"""Samples of a length of 1: two hops."""
LATE: Final = 1
"""How much later the times from the lengths are than the sound. The first sound of a sentence comes that much before
its first phoneme's time, and so do all words, by the times of PocketSphinx."""

_PLAIN_WORD = re.compile(r"[^\w]*[^\W\d_]+(?:['’][^\W\d_]+)*[^\w]*")
_MARKS: Final = ';:,.!?—…"“”()'


def with_lengths(model: Path) -> bytes:
    """The model, with the lengths of the phonemes as one more result. All other results stay the same to the bit.

    Parameters
    ----------
    model
        An ONNX file.

    References
    ----------
    Protocol Buffers, "Encoding", section "Last One Wins": messages that follow each other are merged, and repeated
    fields are joined. So a second message with nothing but an output adds this output (`graph` is field 7 of
    `ModelProto`, `output` field 12 of `GraphProto`, `name` field 1 of `ValueInfoProto`).
    """
    return model.read_bytes() + _field(7, _field(12, _field(1, LENGTHS.encode())))


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def phoneme_words(phonemes: str, known: Callable[[str], bool], lengths: Sequence[float]) -> list[tuple[int, int]]:
    """Where the words of a phoneme string begin and end, in samples of its sound.

    A word begins with the space before it, in which the mouth already moves. Measured against the word times of
    PocketSphinx (`scripts/check_subtitles.py`), so shifted by `LATE`.

    Parameters
    ----------
    phonemes
        Words, separated by spaces. Marks alone are no word.
    known
        Whether the model has a phoneme. It leaves out the others.
    lengths
        Of each phoneme that it has, with one more at either end for the silence there.

    Returns
    -------
    list of (int, int)
        The first sample of each word, and the one after its last.

    Examples
    --------
    >>> phoneme_words("it ɪz.", lambda phoneme: True, [3, 1, 1, 1, 2, 2, 4, 9])
    [(1200, 2400), (2400, 5400)]
    """
    ends = [round((end - LATE) * LENGTH_UNIT) for end in accumulate(lengths)]
    found: list[tuple[int, int]] = []
    begin: int | None = None
    end = space = ends[0] if ends else 0
    place = 0
    for char in phonemes + " ":
        if char == " " and begin is not None:
            found.append((begin, end))
            begin = None
        if char == " ":
            space = ends[min(place, len(ends) - 1)] if ends else 0
        if known(char) and place + 1 < len(ends):
            if char not in _MARKS and char != " ":
                begin = space if begin is None else begin
                end = ends[place + 1]
            place += 1
    return found


def spoken_words(text: str, spoken: Sequence[tuple[int, int]], count: Callable[[str], int]) -> tuple[SpokenWord, ...]:
    """The words of `text` with their times.

    A word that is written with digits or signs may be several spoken words.

    Parameters
    ----------
    text
        What was spoken.
    spoken
        Where each spoken word begins and ends, in samples.
    count
        Returns how many spoken words a word of the text has.

    Returns
    -------
    tuple of SpokenWord
        Without those whose spoken words are not known: if text and sound differ in their number of words, all from the
        first to the last that is not written with letters only.

    Examples
    --------
    >>> spoken = [(0, 240), (240, 480), (480, 960), (960, 1200)]
    >>> [(word.start, word.stop, word.begin) for word in spoken_words("It is 11:30", spoken, lambda word: 2)]
    [(0, 2, 0.0), (3, 5, 0.01), (6, 11, 0.02)]
    """
    written = list(re.finditer(r"\S+", text))
    plain = [bool(_PLAIN_WORD.fullmatch(match[0])) for match in written]
    counts = [1 if each else count(match[0]) for each, match in zip(plain, written, strict=True)]
    known = sum(counts) == len(spoken)
    if not known and (all(plain) or plain.count(True) > len(spoken)):
        return ()
    firsts: dict[int, int] = {}  # the first spoken word of each word of the text
    first = 0
    for place in range(len(written)):
        if not (known or plain[place]):
            break
        firsts[place] = first
        first += counts[place]
    first = len(spoken)
    for place in range(len(written) - 1, -1, -1):
        if known or not plain[place]:
            break
        first -= 1
        firsts[place] = first
    return tuple(
        SpokenWord(
            written[place].start(),
            written[place].end(),
            spoken[first][0] / SAMPLE_RATE,
            spoken[first + counts[place] - 1][1] / SAMPLE_RATE,
        )
        for place, first in sorted(firsts.items())
        if counts[place]
    )
