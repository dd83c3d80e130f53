"""Cases of text: as an argument, given to an engine directly, or in pieces through a pipe."""

from __future__ import annotations

import contextlib
import os
import threading
from contextlib import closing
from random import Random
from typing import Final

from fuzzing import inputs
from fuzzing.bench import Bench, Done, Kind, Plan, speak_options
from fuzzing.checks import PATIENCE, heard
from tts_cli.metrics import Meter
from tts_cli.pipeline import synthesize
from tts_cli.segment import MAX_CHARS, Segment, Sentence
from tts_cli.text.sources import TextSource, text_argument, text_file


def plan_text(rng: Random, bench: Bench) -> Plan:
    return Plan(
        "text", inputs.text(rng, bench.longest(rng)), {"options": speak_options(rng, bench), "take": _take(rng)}
    )


def run_text(plan: Plan, bench: Bench) -> Done:
    return _speak(text_argument(plan.text), plan, bench)


def plan_segment(rng: Random, bench: Bench) -> Plan:
    text = inputs.text(rng, min(bench.longest(rng), MAX_CHARS))
    ending = rng.choice(("cut", "clause", "sentence", "line", "paragraph", "text"))
    values = {"options": speak_options(rng, bench), "take": _take(rng), "ending": ending, "number": rng.randint(0, 99)}
    return Plan("segment", text, values)


def run_segment(plan: Plan, bench: Bench) -> Done:
    text = " ".join(plan.text.encode(errors="replace").decode().split())  # a source gives no others
    segment = Segment(plan.values["number"], (Sentence(text, plan.values["ending"]),))
    session = bench.session
    options = session.options(plan.values["options"])
    with closing(session.engine.stream(_One(segment), session.voice, options)) as stream:
        return Done(heard(stream, plan.values["take"]))


class _One:
    """A segment for an engine that is called directly."""

    wanted = 0

    def __init__(self, segment: Segment) -> None:
        self._segment: Segment | None = segment

    def take(self, wait: bool = True) -> Segment | None:  # noqa: ARG002
        segment, self._segment = self._segment, None
        return segment

    def failed(self, segment: Segment, error: Exception) -> None:  # noqa: ARG002
        raise error


def plan_live(rng: Random, bench: Bench) -> Plan:
    pieces = inputs.cuts(rng, inputs.encoded(rng, inputs.text(rng, bench.longest(rng))))
    return Plan("live", pieces, {"options": speak_options(rng, bench), "take": _take(rng)})


def run_live(plan: Plan, bench: Bench) -> Done:
    fifo = bench.folder / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR)  # so that neither end waits for the other to be opened
    try:
        source = text_file(fifo)
        writer = os.open(fifo, os.O_WRONLY)
    finally:
        os.close(held)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb", buffering=0) as pipe:
            for piece in plan.text:
                pipe.write(piece)

    thread = threading.Thread(target=write, name="writer")
    thread.start()
    try:
        return _speak(source, plan, bench)
    finally:
        thread.join(PATIENCE)


def _take(rng: Random) -> int | None:
    """After how many chunks the utterance is ended."""
    return rng.randint(1, 9) if rng.random() < 0.2 else None


def _speak(source: TextSource, plan: Plan, bench: Bench) -> Done:
    session, meter = bench.session, Meter()
    options = session.options(plan.values["options"])
    with closing(source):
        segments = session.segments(source, meter)
        with closing(synthesize(session.engine, session.voice, options, segments, meter)) as chunks:
            return Done(heard(chunks, plan.values["take"]))


KINDS: Final = {
    "text": Kind(8, plan_text, run_text),
    "segment": Kind(6, plan_segment, run_segment),
    "live": Kind(5, plan_live, run_live),
}
