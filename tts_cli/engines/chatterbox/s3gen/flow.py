"""Speech tokens to mel frames: the encoder's output, carried from noise to mel in two steps of a mean flow.

Computes what `CausalMaskedDiffWithXvec.inference` of chatterbox-tts 0.1.7 does with `meanflow=True`
(models/s3gen/flow.py, flow_matching.py), with its parameter names, for one utterance. The noise comes from
the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from tts_cli.audio import FRAMES_PER_TOKEN
from tts_cli.engines.chatterbox.modules import Embedding, Linear, TypedModule
from tts_cli.engines.chatterbox.s3gen.encoder import Encoder, EncoderPast, NoTokens
from tts_cli.engines.chatterbox.s3gen.estimator import Estimator
from tts_cli.engines.chatterbox.s3gen.past import Nothing, Past
from tts_cli.engines.chatterbox.weights.config import MEL_BINS, SPEAKER_SIZE, SPEECH_VOCABULARY, ModelConfig
from tts_cli.errors import ModelError, UsageError

MOMENTS: Final = (0.0, 0.5, 1.0)
"""Where the flow's steps begin and end; Turbo is distilled to two steps."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The voice as the flow sees it: what stands in front of every utterance."""

    tokens: Tensor
    """Speech tokens of the reference, int64 `[p]`."""
    mels: Tensor
    """Mel frames of the reference, `[80, 2p]`."""
    speaker: Tensor
    """The speaker's embedding in the estimator's width, `[1, 80]`."""

    @property
    def frames(self) -> int:
        """How many mel frames the reference has."""
        return self.mels.shape[1]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow."""

    length: Tensor
    """How much of the way from noise to mel it goes, a scalar."""
    shifts: list[Tensor]
    """See `Estimator.shifts`."""


class MeanFlow(TypedModule):
    """The estimator and the way through its vector field."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.estimator = Estimator(config.estimator)

    def steps(self, device: torch.device) -> list[Step]:
        """The steps of the way, which depend on the model alone."""
        moments = torch.tensor(MOMENTS, device=device)
        return [Step(r - t, self.estimator.shifts(t, r)) for t, r in pairwise(moments)]

    def forward(
        self, noise: Tensor, mu: Tensor, speaker: Tensor, cond: Tensor, steps: Sequence[Step], pasts: Sequence[Past]
    ) -> Tensor:
        """Noise `[1, 80, n]` to mel frames `[1, 80, n]`, each step behind its own past."""
        x = noise
        for step, past in zip(steps, pasts, strict=True):
            x = x + step.length * self.estimator(x, mu, speaker, cond, step.shifts, past)
        return x


class Flow(TypedModule):
    """Tokens of the voice and of the utterance to the utterance's mel frames. Read-only once loaded."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_embedding = Embedding(SPEECH_VOCABULARY, config.encoder.input_size)
        self.spk_embed_affine_layer = Linear(SPEAKER_SIZE, MEL_BINS)
        self.encoder = Encoder(config.encoder)
        self.encoder_proj = Linear(config.encoder.output_size, MEL_BINS)
        self.decoder = MeanFlow(config)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.encoder_proj.weight.device

    def prompt(self, conditionals: Mapping[str, Any]) -> Prompt:
        """The voice in upstream's `Conditionals.gen`, which is read and left as it is.

        Raises `ModelError` where the conditionals lack a part or a part does not fit.
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
        # A token and its two frames go together, whatever was cut off at the reference's end.
        length = min(length, len(tokens), len(mels) // FRAMES_PER_TOKEN)
        tokens = check_tokens(tokens[:length]).to(self.device)
        mels = mels[: FRAMES_PER_TOKEN * length].to(self.device).mT
        speaker = self.spk_embed_affine_layer(F.normalize(speaker.to(self.device), dim=1))
        return Prompt(tokens, mels, speaker)

    def forward(self, prompt: Prompt, tokens: Tensor, noise: Tensor) -> Tensor:
        """Mel frames `[80, 2n]` of tokens int64 `[n]`, from noise `[80, 2(p + n)]` over prompt and tokens."""
        cond = F.pad(prompt.mels, (0, FRAMES_PER_TOKEN * len(tokens)))
        steps = self.decoder.steps(self.device)
        mels = self.mels(
            torch.cat((prompt.tokens, tokens.to(self.device))),
            noise,
            prompt.speaker,
            cond,
            steps,
            NoTokens(),
            [Nothing() for _ in steps],
        )
        return mels[:, prompt.frames :]

    def mels(
        self,
        tokens: Tensor,
        noise: Tensor,
        speaker: Tensor,
        cond: Tensor,
        steps: Sequence[Step],
        tokens_before: EncoderPast,
        frames_before: Sequence[Past],
        ahead: int = 0,
    ) -> Tensor:
        """Mel frames `[80, 2n]` of tokens `[n + ahead]` behind some past; the `ahead` last ones are only looked at.

        `noise` and `cond` are `[80, 2n]`; `frames_before` is a past for each of the `steps`.
        """
        mu = self.encoder_proj(self.encoder(self.input_embedding(tokens)[None], tokens_before, ahead)).mT
        return self.decoder(noise.to(self.device)[None], mu, speaker, cond[None], steps, frames_before)[0]


def check_tokens(tokens: Tensor) -> Tensor:
    """`tokens` as they are; raises `UsageError` where an id is not that of a speech token."""
    wrong = tokens[(tokens < 0) | (tokens >= SPEECH_VOCABULARY)]
    if len(wrong):
        raise UsageError(
            f"{int(wrong[0])} is no speech token",
            f"ids go from 0 to {SPEECH_VOCABULARY - 1}: drop the others",
        )
    return tokens


def _tensor(value: Any) -> Tensor:
    return value.detach() if isinstance(value, Tensor) else torch.as_tensor(value)
