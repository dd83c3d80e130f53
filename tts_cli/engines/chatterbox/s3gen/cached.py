"""The flow, decoded block by block: what layers computed for the voice and for earlier blocks is cached.

A block of tokens sees the voice, the earlier tokens within a window, and all of itself. What was decoded before does
not change. This is block-causal attention; in a whole utterance every frame sees all others. The voice's part depends
on the voice only, so it is computed once, as a `VoicePast`.

The encoder counts positions as if the window came directly after the voice. So the cost of a block, and the distances
between positions, do not grow with the utterance.

References
----------
CosyVoice 2 streams in this way: Du et al. 2024, arXiv:2412.10117, section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from tts_cli.engines.chatterbox.s3gen.cached_past import CachedEncoderPast, CachedPast, NetworkPast, PastRecorder
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt
from tts_cli.engines.chatterbox.s3gen.relative_attention import sinusoids
from tts_cli.engines.chatterbox.weights.config import FRAMES_PER_TOKEN, MEL_BINS
from tts_cli.errors import UsageError

WINDOW: Final = 75
"""How many tokens a block sees besides the voice, counted back from its own end."""


@dataclass(frozen=True, slots=True)
class VoicePast:
    """The past of a voice, which every utterance in that voice begins with. It does not change."""

    encoder: NetworkPast
    steps: tuple[NetworkPast, ...]
    """The estimator's, for each flow step."""
    speaker: Tensor
    """As in `Prompt`."""
    tokens: int
    """How many tokens the voice has."""


@dataclass(slots=True)
class FlowState:
    """The state of the flow in one utterance."""

    speaker: Tensor
    """As in `Prompt`."""
    encoder: CachedEncoderPast
    steps: tuple[CachedPast, ...]
    """The estimator's past in each flow step."""
    block: int
    """The most tokens that can be decoded at once."""
    position: int = 0
    """How many tokens have been decoded."""


class CachedFlow:
    """Decodes block by block with a flow.

    Utterances can share it. It caches the distance keys of the encoder, which are replaced as a whole when an utterance
    needs more of them.

    Parameters
    ----------
    flow
        The flow.
    dtype
        The type in which keys and values of the estimator are stored and multiplied.
    """

    def __init__(self, flow: Flow, dtype: torch.dtype = torch.float32) -> None:
        self.flow = flow
        self.dtype = dtype
        self._steps = flow.decoder.steps(flow.device)
        self._distance_keys: tuple[int, list[Tensor]] = 0, []
        """How many tokens they reach, and the distance keys of each attention."""

    def voice(self, prompt: Prompt, noise: Tensor) -> VoicePast:
        """Compute the past of a voice.

        Parameters
        ----------
        prompt
            The voice, with p tokens.
        noise
            What its mel frames begin as, `[80, 2p]`.
        """
        encoder, steps = PastRecorder(torch.float32), [PastRecorder(self.dtype) for _ in self._steps]
        self.flow.mels(prompt.tokens, noise, prompt.speaker, prompt.mels, self._steps, encoder, steps)
        return VoicePast(
            encoder.recorded(), tuple(step.recorded() for step in steps), prompt.speaker, len(prompt.tokens)
        )

    def start(self, voice: VoicePast, window: int = WINDOW) -> FlowState:
        """The state at the start of an utterance.

        Parameters
        ----------
        voice
            The past of its voice.
        window
            How many tokens a block sees besides the voice, 3 or more. A third of them can be decoded at once.

        Raises
        ------
        UsageError
            If the window is too small.
        """
        if window < 3:
            raise UsageError(f"a window of {window} tokens is too small to decode in", "choose 3 or more")
        counts = self.flow.encoder.positions_per_token()
        spans = [window * count for count in counts]
        distance_keys = self._distance_keys_for(voice.tokens + window, counts)
        return FlowState(
            voice.speaker,
            CachedEncoderPast(voice.encoder, spans, distance_keys),
            tuple(CachedPast.over(step, window * FRAMES_PER_TOKEN) for step in voice.steps),
            block=window // 3,
        )

    def push(self, state: FlowState, tokens: Tensor, ahead: int, noise: Tensor) -> Tensor:
        """Decode the next block of an utterance.

        Parameters
        ----------
        state
            The state of the utterance, which this changes.
        tokens
            Int64 `[n + ahead]`; n is at most `state.block`.
        ahead
            How many of the tokens serve as lookahead: 3, or as many as there are at the end of the utterance. The next
            block begins with them.
        noise
            What the mel frames begin as, `[80, 2n]`.

        Returns
        -------
        Tensor
            Mel frames `[80, 2n]`.
        """
        count = len(tokens) - ahead
        cond = torch.zeros(MEL_BINS, FRAMES_PER_TOKEN * count, device=self.flow.device)
        state.encoder.begin()
        for step in state.steps:
            step.begin()
        mels = self.flow.mels(
            tokens.to(self.flow.device), noise, state.speaker, cond, self._steps, state.encoder, state.steps, ahead
        )
        for step in state.steps:
            step.seen += FRAMES_PER_TOKEN * count
        state.position += count
        return mels

    def _distance_keys_for(self, reach: int, counts: Sequence[int]) -> list[Tensor]:
        """The distance keys of each attention, for `reach` tokens or more; `counts` are positions for each token."""
        longest, known = self._distance_keys
        if longest < reach:
            attentions = self.flow.encoder.attentions()
            known = [
                attention.distance_keys(
                    sinusoids(reach * count - 1, 1 - reach * count, attention.size, self.flow.device)
                )
                for attention, count in zip(attentions, counts, strict=True)
            ]
            self._distance_keys = reach, known
        return known
