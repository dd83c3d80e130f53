"""Draws the tokens of several utterances at once: rows that begin and end independently of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.t3.batch_step import BatchStep
from tts_cli.engines.chatterbox.t3.model import T3, TokenRequest
from tts_cli.engines.chatterbox.weights.config import START

PIECE: Final = 16
"""Text tokens that a row reads in one step beside others, so that no step makes the others wait for long."""


class Row:
    """One utterance: its own sampler, random numbers, budget and keys and values. Made by `Batch.row`.

    Parameters
    ----------
    t3
        The model.
    request
        What is drawn.
    step
        The step that the row takes part in.

    Attributes
    ----------
    error
        What went wrong with this row, if something did. It has then ended.
    most
        How many tokens it draws at most.
    prefix
        Its voice.
    reading
        Whether its text has not been read to the end. It then draws no token yet.
    """

    def __init__(self, t3: T3, request: TokenRequest, step: BatchStep) -> None:
        self.error: Exception | None = None
        self._t3 = t3
        self._draws = t3.draws(request)
        self.prefix = request.prefix
        self._unread = request.text_ids
        """The text tokens that have not been read. After them, the start token is read."""
        self.reading = True
        self._token = START
        self.most = self._draws.limit
        self.suffix = step.suffix()

    @property
    def ended(self) -> bool:
        """Whether it has drawn its last token."""
        return self.error is not None or self._draws.ended

    def positions(self, most: int | None) -> Tensor:
        """Its next positions `[n, width]`: the text and the start token, later the last token.

        `most` limits how many text tokens they have.
        """
        t3, place = self._t3, self.prefix.positions + self.suffix.filled
        known = t3.speech_emb.weight[self._token][None]
        if self.reading:
            piece = self._unread[:most]
            self._unread = self._unread[len(piece) :]
            self.reading = bool(self._unread)
            text = t3.text_emb.weight[torch.tensor(piece, dtype=torch.long)]
            known = text if self.reading else torch.cat([text, known])
        return t3.at(known, place)

    def draw(self, logits: Tensor) -> int | None:
        """Draw a token from `logits` `[ids]`; None if there is none, because it stops or fails."""
        try:
            token = self._draws.draw(logits)
        except Exception as error:  # noqa: BLE001 (the other rows go on; the owner of the row raises it)
            self.error = error
            return None
        if token is not None:
            self._token = token
        return token


class Batch:
    """Steps rows, in one voice or in several. Rows join and leave between steps.

    The tokens of a row do not depend on the other rows.

    Parameters
    ----------
    t3
        The loaded T3; its `batch_step` is not None.
    """

    def __init__(self, t3: T3) -> None:
        assert t3.batch_step is not None
        self._t3, self._step = t3, t3.batch_step

    def row(self, request: TokenRequest) -> Row:
        """A new row. It takes part in each step that it is given to."""
        return Row(self._t3, request, self._step)

    def settle(self, wanted: Callable[[], bool]) -> None:
        """Pack the weights now, unless they are packed, and while `wanted` returns True. See `T3.settle`."""
        if not self._step.packed:
            self._t3.settle(wanted)

    @torch.inference_mode()
    def step(self, rows: Sequence[Row]) -> list[int | None]:
        """Draw one token of each of `rows`, which have not ended.

        The result is None for a row without a further token, and for one whose text is not read to the end. A row
        alone reads all its text at once.
        """
        most = None if len(rows) == 1 else PIECE
        voices = {id(row.prefix): place for place, row in reversed(list(enumerate(rows)))}
        order = sorted(range(len(rows)), key=lambda place: voices[id(rows[place].prefix)])
        part = [rows[place] for place in order]
        prefixes, suffixes = [row.prefix for row in part], [row.suffix for row in part]
        logits = self._step(prefixes, [row.positions(most) for row in part], suffixes)
        drawn: list[int | None] = [None] * len(rows)
        for place, row, its in zip(order, part, logits, strict=True):
            drawn[place] = None if row.reading else row.draw(its)
        return drawn
