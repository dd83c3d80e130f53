"""The formats of subtitles. Each is written cue by cue, so that a file of any length needs little memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tts_cli.subtitles.placing import Cue


@dataclass(frozen=True, slots=True)
class Format:
    """How a format writes its beginning, a cue with its number from 1, and its end."""

    header: str
    cue: Callable[[int, Cue], str]
    footer: str


def _srt(number: int, cue: Cue) -> str:
    return f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n\n"


def _vtt(number: int, cue: Cue) -> str:
    text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{number}\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{text}\n\n"


def _lrc(number: int, cue: Cue) -> str:
    del number
    minutes, hundredths = divmod(round(cue.start * 100), 6000)
    return f"[{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}]{cue.text}\n"


def _json(number: int, cue: Cue) -> str:
    words = [
        {"text": word.text, "start": round(word.start, 3), "end": round(word.end, 3), "estimate": not word.known}
        for word in cue.words
    ]
    sentence = {
        "text": cue.text,
        "start": round(cue.start, 3),
        "end": round(cue.end, 3),
        "placed": cue.placed,
        "words": words,
    }
    return ("\n" if number == 1 else ",\n") + json.dumps(sentence, ensure_ascii=False)


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{point}{milliseconds:03}"


FORMATS: Final[dict[str, Format]] = {
    ".srt": Format("", _srt, ""),
    ".vtt": Format("WEBVTT\n\n", _vtt, ""),
    ".json": Format('{"sentences": [', _json, "\n]}\n"),
    ".lrc": Format("", _lrc, ""),
}
"""The format of each suffix: SubRip, WebVTT, JSON and LRC."""
