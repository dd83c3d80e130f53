"""Segments whose tokens are drawn in one batch: those of one text, and of texts that are spoken at the same time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.engines.chatterbox.speaking import TEXT, Scripted, sound, threads
from tests.given import Given
from tests.harness import PATIENCE
from tts_cli.audio import AudioChunk
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxOptions
from tts_cli.engines.chatterbox.s3gen.decoder import S3GenDecoder
from tts_cli.engines.chatterbox.schedule.batching import DrawnText
from tts_cli.engines.chatterbox.schedule.drawn_tokens import Tokens
from tts_cli.engines.chatterbox.t3.batch import Batch, Row
from tts_cli.engines.chatterbox.t3.model import TokenRequest
from tts_cli.engines.chatterbox.t3.sampling import Draws
from tts_cli.errors import ModelError
from tts_cli.segment import Segment

TEXTS = ("It rains.", "It pours, and the wind blows.", "...", "Stay in.", "Tea?", "Yes, two cups of tea.")


@pytest.fixture(scope="module")
def one_at_a_time(engine: ChatterboxEngine) -> list[AudioChunk]:
    return spoken_together(engine, 1)


def spoken_together(engine: ChatterboxEngine, number: int) -> list[AudioChunk]:
    options = ChatterboxOptions(chunk=10, seed=3, parallel_segments=number)
    return list(engine.stream(Given(*TEXTS), "default", options))


@pytest.mark.parametrize("number", [2, 4, 8])
def test_the_sound_of_a_text_does_not_depend_on_how_many_segments_are_drawn_at_once(
    engine: ChatterboxEngine, one_at_a_time: list[AudioChunk], number: int
) -> None:
    found = spoken_together(engine, number)
    assert [chunk.segment.text for chunk in found] == [chunk.segment.text for chunk in one_at_a_time]
    for chunk, expected in zip(found, one_at_a_time, strict=True):
        np.testing.assert_array_equal(chunk.samples, expected.samples)
    assert not threads()


def test_a_chunk_says_for_how_much_sound_the_tokens_are_drawn(engine: ChatterboxEngine) -> None:
    *chunks, last = spoken_together(engine, 4)
    rest = sum(chunk.seconds for chunk in chunks) + last.seconds
    for chunk in chunks:
        rest -= chunk.seconds
        assert 0 <= chunk.half_computed <= rest + 0.5
    assert any(chunk.half_computed for chunk in chunks)
    assert last.half_computed == 0


def test_segments_that_arrive_later_join_the_batch(
    engine: ChatterboxEngine, one_at_a_time: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    step = Batch.step

    def counted(batch: Batch, rows: Sequence[Row]) -> list[int | None]:
        nonlocal most
        most = max(most, len(rows))
        return step(batch, rows)

    monkeypatch.setattr(Batch, "step", counted)
    live = Given(*(Segment.of(text, number) for number, text in enumerate(TEXTS[:1])))
    samples = []
    for index, chunk in enumerate(engine.stream(live, "default", ChatterboxOptions(chunk=10, seed=3))):
        samples.append(chunk.samples)
        if index == 0:
            live._segments.extend(Segment.of(text, number) for number, text in enumerate(TEXTS) if number)
    np.testing.assert_array_equal(np.concatenate(samples), np.concatenate([chunk.samples for chunk in one_at_a_time]))
    assert most > 1


def test_skipped_segments_are_not_spoken_and_their_rows_are_free(
    engine: ChatterboxEngine, one_at_a_time: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[Tokens] = []
    forget = DrawnText.forget

    def noted(text: DrawnText, tokens: Tokens) -> None:
        freed.append(tokens)
        forget(text, tokens)

    monkeypatch.setattr(DrawnText, "forget", noted)
    segments = Given(*TEXTS)
    chunks = engine.stream(segments, "default", ChatterboxOptions(chunk=10, seed=3))
    assert next(chunks).segment.number == 0
    assert next(chunks).segment.number == 0
    segments.wanted = 3
    rest = list(chunks)
    assert [chunk.segment.number for chunk in rest if chunk.segment.number < 3] in ([], [0])
    assert len(freed) == 5, "of each segment that has words, not only of those that were spoken"
    expected = [chunk.samples for chunk in one_at_a_time if chunk.segment.number >= 3]
    found = [chunk.samples for chunk in rest if chunk.segment.number >= 3]
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    assert not threads()


def test_a_segment_that_fails_while_it_is_drawn_ahead_leaves_the_others_alone(
    engine: ChatterboxEngine, one_at_a_time: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[int] = []
    draws = engine._t3.draws
    bad = Segment.of(TEXTS[1], 1).seed(3)

    def some_fail(request: TokenRequest) -> Draws:
        return Scripted([17] * 30, ModelError("NaN")) if request.seed == bad else draws(request)

    monkeypatch.setattr(engine._t3, "draws", some_fail)
    segments = Given(*TEXTS)
    monkeypatch.setattr(segments, "failed", lambda segment, error: failed.append(segment.number))
    chunks = list(engine.stream(segments, "default", ChatterboxOptions(chunk=10, seed=3)))
    for number in (0, 3, 4, 5):
        found = [chunk.samples for chunk in chunks if chunk.segment.number == number]
        expected = [chunk.samples for chunk in one_at_a_time if chunk.segment.number == number]
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    assert failed == [1]
    assert not threads()


def test_an_error_of_a_whole_step_reaches_every_segment_and_leaves_no_thread(
    engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_batch: Batch, _rows: Sequence[Row]) -> list[int | None]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Batch, "step", failing)
    failed: list[str] = []
    segments = Given(*TEXTS)
    monkeypatch.setattr(segments, "failed", lambda segment, error: failed.append(str(error)))
    assert list(engine.stream(segments, "default", ChatterboxOptions(chunk=10))) == []
    assert failed == ["out of memory"] * 5
    assert not threads()


def test_texts_that_are_spoken_at_the_same_time_share_a_batch_and_one_thread(
    engine: ChatterboxEngine, one_at_a_time: list[AudioChunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    most, owners = 0, set()
    step = Batch.step

    def counted(batch: Batch, rows: Sequence[Row]) -> list[int | None]:
        nonlocal most
        most = max(most, len(rows))
        owners.add(threading.current_thread())
        return step(batch, rows)

    monkeypatch.setattr(Batch, "step", counted)
    options = ChatterboxOptions(chunk=10, seed=3, parallel_segments=2)
    texts = [engine.stream(Given(*TEXTS), "default", options) for _ in range(4)]
    found: list[list[AudioChunk]] = [[next(chunks)] for chunks in texts]
    texts[1].close()
    for chunks, given in zip(texts, found, strict=True):
        given.extend(chunks)
    expected = np.concatenate([chunk.samples for chunk in one_at_a_time])
    for number, given in enumerate(found):
        samples = np.concatenate([chunk.samples for chunk in given])
        np.testing.assert_array_equal(samples, expected[: len(samples)])
        assert number == 1 or len(samples) == len(expected)
    assert most > 2, "rows of several texts"
    assert len(owners) == 1
    assert not threads()


def test_a_text_that_joins_when_the_last_one_leaves_is_drawn(engine: ChatterboxEngine) -> None:
    options = ChatterboxOptions(chunk=10, seed=3, tokens=12)
    expected = sound(engine, options)
    for _ in range(15):
        leaving, joining = (engine.stream(Given(TEXT), "default", options) for _ in range(2))
        next(leaving)
        with ThreadPoolExecutor(1) as pool:
            left = pool.submit(leaving.close)
            found = np.concatenate([chunk.samples for chunk in joining])
            left.result(PATIENCE)
        np.testing.assert_array_equal(found, expected)
    assert not threads()


LONG = "It rains and it pours and the wind blows " * 5


def test_a_listener_who_leaves_frees_the_row_in_the_next_step(
    engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, steps, step = Given(LONG), 0, Batch.step

    def counted(batch: Batch, rows: Sequence[Row]) -> list[int | None]:
        nonlocal steps
        steps += 1
        if steps == 30:
            text.wanted = sys.maxsize
        return step(batch, rows)

    monkeypatch.setattr(Batch, "step", counted)
    given = sum(len(chunk.samples) for chunk in engine.stream(text, "default", ChatterboxOptions(chunk=10, seed=3)))
    assert steps == 30
    assert given <= 30 * 960
    assert not threads()


def test_in_simple_mode_as_well_and_nothing_of_it_is_decoded(
    engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, drawn, draw = Given(LONG), 0, Draws.draw

    def counted(draws: Draws, logits: torch.Tensor) -> int | None:
        nonlocal drawn
        drawn += 1
        if drawn == 30:
            text.wanted = sys.maxsize
        return draw(draws, logits)

    monkeypatch.setattr(Draws, "draw", counted)
    monkeypatch.setattr(S3GenDecoder, "whole", lambda *_: pytest.fail("nobody hears it"))
    assert not list(engine.stream(text, "default", ChatterboxOptions(seed=3, mode="simple")))
    assert drawn == 30
