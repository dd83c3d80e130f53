"""Other programs read the subtitles, whatever the text."""

from __future__ import annotations

import json

import pysubs2
import pytest

from tts_cli.subtitles.formats import FORMATS
from tts_cli.subtitles.placing import Cue, CueWord

CUES = (
    Cue("Fish & chips, 5 > 3.", 0.02, 1.5, "exact", (CueWord("Fish", 0.02, 0.4, True, 0),)),
    Cue("Größe – “naïve” 你好.", 3661.0004, 7325.9996, "pause", ()),
)


def written(suffix: str) -> str:
    form = FORMATS[suffix]
    return form.header + "".join(form.cue(number, cue) for number, cue in enumerate(CUES, 1)) + form.footer


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_a_library_reads_times_and_text(suffix: str) -> None:
    read = pysubs2.SSAFile.from_string(written(suffix), suffix[1:])
    assert [(event.start, event.end) for event in read] == [(20, 1500), (3_661_000, 7_326_000)]
    assert read[1].plaintext == CUES[1].text


def test_marks_that_mean_something_in_webvtt_are_escaped() -> None:
    assert "Fish &amp; chips, 5 &gt; 3." in written(".vtt")
    assert "Fish & chips, 5 > 3." in written(".srt")


def test_lrc_has_a_line_for_each_sentence_and_as_many_minutes_as_it_takes() -> None:
    assert written(".lrc") == "[00:00.02]Fish & chips, 5 > 3.\n[61:01.00]Größe – “naïve” 你好.\n"


def test_json_says_how_each_time_is_known() -> None:
    first, second = json.loads(written(".json"))["sentences"]
    assert first == {
        "text": "Fish & chips, 5 > 3.",
        "start": 0.02,
        "end": 1.5,
        "placed": "exact",
        "words": [{"text": "Fish", "start": 0.02, "end": 0.4, "estimate": False}],
    }
    assert second["placed"] == "pause"
