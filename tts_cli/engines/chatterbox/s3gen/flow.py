"""The flow: it computes mel frames from speech tokens.

The encoder computes hidden frames from the tokens. The mel frames begin as noise, which the caller gives. In two flow
steps, the estimator turns them into mel frames that fit the hidden frames and the voice.

References
----------
The results and the names of parameters are those of `CausalMaskedDiffWithXvec.inference` with `meanflow=True` in
chatterbox-tts 0.1.7 (models/s3gen/flow.py and flow_matching.py), for one utterance. Mean flows: arXiv:2505.13447.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tts_cli.engines.chatterbox.modules import Embedding, Linear, TypedModule
from tts_cli.engines.chatterbox.options import FLOW_STEPS
from tts_cli.engines.chatterbox.s3gen.encoder import Encoder
from tts_cli.engines.chatterbox.s3gen.estimator import Estimator
from tts_cli.engines.chatterbox.s3gen.past import NoPast, Past
from tts_cli.engines.chatterbox.s3gen.relative_attention import EncoderPast, NoEncoderPast
from tts_cli.engines.chatterbox.weights.config import (
    FRAMES_PER_TOKEN,
    MEL_BINS,
    SPEAKER_SIZE,
    SPEECH_VOCABULARY,
    ModelConfig,
)
from tts_cli.errors import ModelError, UsageError


@dataclass(frozen=True, slots=True)
class Prompt:
    """A voice as the flow uses it: every utterance comes after its tokens and frames."""

    tokens: Tensor
    """The tokens of the reference, int64 `[p]`."""
    mels: Tensor
    """The mel frames of the reference, `[80, 2p]`."""
    speaker: Tensor
    """The speaker embedding, mapped to the width of mel frames, `[1, 80]`."""

    @property
    def frames(self) -> int:
        """How many mel frames the reference has."""
        return self.mels.shape[1]


@dataclass(frozen=True, slots=True)
class Step:
    """A flow step."""

    length: Tensor
    """The time from its beginning to its end, a scalar."""
    shifts: list[Tensor]
    """See `Estimator.shifts`."""


class MeanFlow(TypedModule):
    """The estimator and the flow steps that use it: `count` of them."""

    def __init__(self, config: ModelConfig, count: int) -> None:
        super().__init__()
        self.estimator = Estimator(config.estimator)
        self.count = count

    def steps(self, device: torch.device) -> list[Step]:
        """The flow steps. They depend on the model only."""
        moments = torch.linspace(0, 1, self.count + 1, device=device)
        return [Step(r - t, self.estimator.shifts(t, r)) for t, r in pairwise(moments)]

    def forward(
        self, noise: Tensor, mu: Tensor, speaker: Tensor, cond: Tensor, steps: Sequence[Step], pasts: Sequence[Past]
    ) -> Tensor:
        """Compute mel frames.

        Parameters
        ----------
        noise
            What the frames begin as, `[1, 80, n]`.
        mu, speaker, cond
            As in `Estimator.forward`.
        steps
            The flow steps.
        pasts
            The past in each step.

        Returns
        -------
        Tensor
            `[1, 80, n]`.
        """
        x = noise
        for step, past in zip(steps, pasts, strict=True):
            x = x + step.length * self.estimator(x, mu, speaker, cond, step.shifts, past)
        return x


class Flow(TypedModule):
    """The flow. Its weights do not change, so utterances can share it.

    Parameters
    ----------
    config
        The sizes of the model.
    steps
        How many flow steps it takes.
    """

    def __init__(self, config: ModelConfig, steps: int = FLOW_STEPS) -> None:
        super().__init__()
        self.input_embedding = Embedding(SPEECH_VOCABULARY, config.encoder.input_size)
        self.spk_embed_affine_layer = Linear(SPEAKER_SIZE, MEL_BINS)
        self.encoder = Encoder(config.encoder)
        self.encoder_proj = Linear(config.encoder.output_size, MEL_BINS)
        self.decoder = MeanFlow(config, steps)

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.encoder_proj.weight.device

    def prompt(self, conditionals: Mapping[str, Any]) -> Prompt:
        """Prepare a voice.

        Parameters
        ----------
        conditionals
            Upstream's `Conditionals.gen`: `prompt_token`, `prompt_feat`, `embedding` and, optionally,
            `prompt_token_len`. They are not changed.

        Raises
        ------
        ModelError
            If a part is missing or has a wrong shape.
        UsageError
            If one of the tokens is not a speech token.
        """
        try:
            tokens = _tensor(conditionals["prompt_token"]).reshape(-1).long()
            mels = _tensor(conditionals["prompt_feat"]).reshape(-1, MEL_BINS).float()
            speaker = _tensor(conditionals["embedding"]).reshape(1, SPEAKER_SIZE).float()
            length = conditionals.get("prompt_token_len")
            length = len(tokens) if length is None else int(_tensor(length).reshape(-1)[0])
        except (KeyError, RuntimeError, TypeError, ValueError, IndexError) as error:
            raise ModelError(
                f"the voice does not fit this model ({type(error).__name__}: {error})",
                "cache the voice again",
            ) from error
        # Tokens and frames may end at different places. Each token must have its two frames.
        length = min(length, len(tokens), len(mels) // FRAMES_PER_TOKEN)
        tokens = check_tokens(tokens[:length]).to(self.device)
        mels = mels[: FRAMES_PER_TOKEN * length].to(self.device).mT
        speaker = self.spk_embed_affine_layer(F.normalize(speaker.to(self.device), dim=1))
        return Prompt(tokens, mels, speaker)

    def forward(self, prompt: Prompt, tokens: Tensor, noise: Tensor) -> Tensor:
        """Compute the mel frames of a whole utterance.

        Parameters
        ----------
        prompt
            The voice, with p tokens.
        tokens
            The tokens of the utterance, int64 `[n]`.
        noise
            For the frames of the voice and of the utterance, `[80, 2(p + n)]`.

        Returns
        -------
        Tensor
            The frames of the utterance, `[80, 2n]`.
        """
        cond = F.pad(prompt.mels, (0, FRAMES_PER_TOKEN * len(tokens)))
        steps = self.decoder.steps(self.device)
        mels = self.mels(
            torch.cat((prompt.tokens, tokens.to(self.device))),
            noise,
            prompt.speaker,
            cond,
            steps,
            NoEncoderPast(),
            [NoPast() for _ in steps],
        )
        return mels[:, prompt.frames :]

    def mels(
        self,
        tokens: Tensor,
        noise: Tensor,
        speaker: Tensor,
        cond: Tensor,
        steps: Sequence[Step],
        encoder_past: EncoderPast,
        step_pasts: Sequence[Past],
        ahead: int = 0,
    ) -> Tensor:
        """Compute the mel frames of tokens that come after a past.

        Parameters
        ----------
        tokens
            Int64 `[n + ahead]`.
        noise
            What the frames begin as, `[80, 2n]`.
        speaker, cond
            As in `Estimator.forward`, but `cond` is `[80, 2n]`.
        steps
            The flow steps.
        encoder_past, step_pasts
            The past of the encoder, and that of the estimator in each step.
        ahead
            How many of the tokens, at most `LOOKAHEAD`, only serve as lookahead.

        Returns
        -------
        Tensor
            `[80, 2n]`.
        """
        mu = self.encoder_proj(self.encoder(self.input_embedding(tokens)[None], encoder_past, ahead)).mT
        return self.decoder(noise.to(self.device)[None], mu, speaker, cond[None], steps, step_pasts)[0]


def check_tokens(tokens: Tensor) -> Tensor:
    """Check that all `tokens`, int64 `[n]`, are speech tokens, and return them.

    Raises
    ------
    UsageError
        If one of them is not.

    Examples
    --------
    >>> check_tokens(torch.tensor([0, 6560]))
    tensor([   0, 6560])
    """
    wrong = tokens[(tokens < 0) | (tokens >= SPEECH_VOCABULARY)]
    if len(wrong):
        raise UsageError(
            f"{int(wrong[0])} is no speech token",
            f"speech tokens are 0 to {SPEECH_VOCABULARY - 1}: drop the others",
        )
    return tokens


def _tensor(value: Any) -> Tensor:
    return value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)
