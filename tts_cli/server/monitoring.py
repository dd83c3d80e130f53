"""What `/metrics` tells: listeners, the queue, histograms of TTFA and RTF, seconds spoken, and errors by kind."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tts_cli.server.admission import Admission
from tts_cli.server.failure import kind_of
from tts_cli.server.speech import Speech

TTFA_SECONDS: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
RTFS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)
RECENT: Final = 100
"""How many utterances the medians are of."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a person in front of the server wants to see."""

    listeners: int
    places: int
    waiting: int
    most_waiting: int
    ttfa: float | None
    """The median of the last utterances, in seconds; None if there is none."""
    rtf: float | None
    """The same for RTF."""
    utterances: int
    """How many have ended."""
    spoken: float
    """Seconds of sound that was sent."""
    errors: int


@dataclass(slots=True)
class Counts:
    """The numbers that only grow."""

    utterances: int = 0
    spoken: float = 0.0
    errors: int = 0


class Monitor:
    """Counts for Prometheus and for the panel. Used in the event loop only, unless a method says otherwise.

    Parameters
    ----------
    admission
        The places and the queue.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._ttfas: deque[float] = deque(maxlen=RECENT)
        self._rtfs: deque[float] = deque(maxlen=RECENT)
        self._counted = Counts()
        self._registry = CollectorRegistry()  # the library's own would outlive the server
        listeners = Gauge("tts_listeners", "Utterances that are computed.", registry=self._registry)
        listeners.set_function(lambda: admission.taken)
        waiting = Gauge("tts_waiting", "Requests that wait for a place.", registry=self._registry)
        waiting.set_function(lambda: admission.waiting)
        self._ttfa = Histogram(
            "tts_ttfa_seconds", "Time to first audio.", buckets=TTFA_SECONDS, registry=self._registry
        )
        self._rtf = Histogram("tts_rtf", "Real-time factor of an utterance.", buckets=RTFS, registry=self._registry)
        self._spoken = Counter("tts_spoken_seconds", "Sound that was sent.", registry=self._registry)
        self._errors = Counter("tts_errors", "Requests that failed or were refused.", ["kind"], registry=self._registry)

    def ended(self, speech: Speech) -> None:
        """An utterance has ended."""
        run = speech.measured
        if run.ttfa is not None:
            self._ttfa.observe(run.ttfa)
            self._ttfas.append(run.ttfa)
        if run.rtf is not None:
            self._rtf.observe(run.rtf)
            self._rtfs.append(run.rtf)
        spoken = speech.sent.samples / speech.rate
        self._spoken.inc(spoken)
        self._counted.utterances += 1
        self._counted.spoken += spoken
        if speech.error is not None:
            self.failed(speech.error)

    def failed(self, error: Exception) -> None:
        """A request was wrong, was refused or has failed."""
        self._errors.labels(kind_of(error)).inc()
        self._counted.errors += 1

    def glance(self) -> Glance:
        """The numbers at this moment. May be called in any thread."""
        admission, counted = self._admission, self._counted
        return Glance(
            admission.taken,
            admission.places,
            admission.waiting,
            admission.most_waiting,
            _median(self._ttfas),
            _median(self._rtfs),
            counted.utterances,
            counted.spoken,
            counted.errors,
        )

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)


def _median(values: deque[float]) -> float | None:
    recent = list(values)  # in one step, for the event loop adds to them
    return median(recent) if recent else None
