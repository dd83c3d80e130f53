"""Runs upstream's own code (chatterbox-tts 0.1.7) in a process of its own, to compare with.

    python -m tts_cli.engines.chatterbox.proof.upstream FOLDER DEVICE

It speaks in one of two ways:

- `upstream`: `ChatterboxTurboTTS.generate`: the whole sound at once, with watermark.
- `independent`: the first prototype of streaming. Upstream's T3 draws one token after the other, and upstream's
  `S3Token2Wav.inference` decodes each chunk of them alone. There is no watermark.

It needs chatterbox-tts only, and computes as a plain script does, with the defaults of torch and OpenMP. Requests are
lines of JSON on standard input. The answers on standard output are lines of JSON: `samples`, after which that many
float32 follow, then `done` or `error`. `baselines` sends the requests.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tts_cli.engines.chatterbox.weights.config import SPEECH_VOCABULARY

if TYPE_CHECKING:
    from torch import Tensor

MOST_TOKENS: Final = 1001
"""The most tokens that `T3.inference_turbo` draws: one, and 1000 more."""
IMPOSSIBLE: Final = -1e9
"""A bias with which an id is never drawn."""


def load(folder: str, device: str) -> Any:
    """Load upstream's model, in half the time that `from_local` takes alone.

    Its modules draw random weights when they are made. Here they keep what their memory held instead, until the weights
    are loaded, which replace all of them.

    Parameters
    ----------
    folder
        The folder with the weights.
    device
        A name of a torch device.

    Returns
    -------
    Any
        A `ChatterboxTurboTTS`.
    """
    import torch
    from chatterbox.tts_turbo import ChatterboxTurboTTS

    drawing = {name: getattr(torch.Tensor, name) for name in ("normal_", "uniform_")}
    try:
        for name in drawing:
            setattr(torch.Tensor, name, lambda tensor, *_, **__: tensor)
        return ChatterboxTurboTTS.from_local(folder, device)
    finally:
        for name, draw in drawing.items():
            setattr(torch.Tensor, name, draw)


class Upstream:
    """Upstream's model. It caches the voices that it has spoken with."""

    def __init__(self, folder: str, device: str) -> None:
        self._model = load(folder, device)
        self._bias = self._model.t3.speech_head.bias.detach().clone()
        self._voices: dict[str, Any] = {}

    def speak(self, way: str, voice: str, text: str, tokens: int | None, chunk: int, seed: int) -> Iterator[Tensor]:
        """Speak a text.

        Parameters
        ----------
        way
            `upstream` or `independent`.
        voice
            The `.pt` file of the voice.
        text
            The text.
        tokens
            Draw exactly this many speech tokens; None to let the model decide. `generate` appends three of silence.
        chunk
            Tokens in a chunk, for `independent`.
        seed
            Fixes everything that is random.

        Yields
        ------
        Tensor
            Samples `[n]`, as soon as they are computed.
        """
        import torch
        from chatterbox.tts_turbo import Conditionals

        if voice not in self._voices:
            self._voices[voice] = Conditionals.load(voice).to(self._model.device)
        self._model.conds = self._voices[voice]
        torch.manual_seed(seed)
        bias = self._model.t3.speech_head.bias.data
        bias.copy_(self._bias)
        if tokens is not None:
            bias[SPEECH_VOCABULARY:] = IMPOSSIBLE
        limit = MOST_TOKENS if tokens is None else tokens
        return iter([self._whole(text, limit)]) if way == "upstream" else self._independent(text, limit, chunk)

    def _whole(self, text: str, limit: int) -> Tensor:
        from functools import partial

        t3 = self._model.t3
        t3.inference_turbo = partial(type(t3).inference_turbo, t3, max_gen_len=limit - 1)
        sound: Tensor = self._model.generate(text)[0]
        return sound

    def _independent(self, text: str, limit: int, chunk: int) -> Iterator[Tensor]:
        piece: list[int] = []
        for token in self._tokens(text, limit):
            if token < SPEECH_VOCABULARY:
                piece.append(token)
            if len(piece) == chunk:
                yield self._decoded(piece)
                piece = []
        if piece:
            yield self._decoded(piece)

    def _tokens(self, text: str, limit: int) -> Iterator[int]:
        """The tokens that `inference_turbo` draws with the defaults of `generate`, one at a time."""
        import torch
        from chatterbox.tts_turbo import punc_norm
        from transformers.generation import logits_process as hf

        t3 = self._model.t3
        warpers = hf.LogitsProcessorList(
            [
                hf.TemperatureLogitsWarper(0.8),
                hf.TopKLogitsWarper(1000),
                hf.TopPLogitsWarper(0.95),
                hf.RepetitionPenaltyLogitsProcessor(1.2),
            ]
        )
        ids = self._model.tokenizer(punc_norm(text), return_tensors="pt").input_ids.to(t3.device)
        start = torch.full_like(ids[:, :1], t3.hp.start_speech_token)
        past: Any = None
        drawn: Any = start
        with torch.inference_mode():
            embeddings, _ = t3.prepare_input_embeds(t3_cond=self._model.conds.t3, text_tokens=ids, speech_tokens=start)
        for number in range(limit):
            with torch.inference_mode():
                state = t3.tfmr(inputs_embeds=embeddings, past_key_values=past, use_cache=True)
                past = state.past_key_values
                scores = warpers(drawn, t3.speech_head(state[0][:, -1:])[:, -1])
                token = torch.multinomial(scores.softmax(dim=-1), num_samples=1)
                drawn = torch.cat((drawn, token), dim=1) if number else token
                embeddings = t3.speech_emb(token)
            if int(token) == t3.hp.stop_speech_token:
                return
            yield int(token)

    def _decoded(self, tokens: list[int]) -> Tensor:
        import torch

        found: Tensor = self._model.s3gen.inference(
            speech_tokens=torch.tensor(tokens, device=self._model.device),
            ref_dict=self._model.conds.gen,
            n_cfm_timesteps=2,
        )[0]
        return found.squeeze(0).cpu()


def serve(folder: str, device: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Load the model, and answer requests until there are no more.

    Parameters
    ----------
    folder
        The folder with the weights.
    device
        A name of a torch device.
    requests
        Lines of JSON: the arguments of `Upstream.speak`.
    answers
        Where lines of JSON and samples go, as the module describes.
    """

    def tell(**answer: object) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    try:
        upstream = Upstream(folder, device)
        tell(ready=True)
        for line in requests:
            for sound in upstream.speak(**json.loads(line)):
                samples = sound.float().numpy().tobytes()
                tell(samples=len(samples) // 4)
                answers.write(samples)
                answers.flush()
            tell(done=True)
    except Exception as error:  # noqa: BLE001  `UpstreamProcess` reports it
        tell(error=f"{type(error).__name__}: {error}", missing=isinstance(error, ImportError))


def main() -> None:
    """Serve on standard input and output. What upstream prints is dropped."""
    os.environ.pop("OMP_WAIT_POLICY", None)  # our package sets it, and torch reads it when it is imported
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    serve(sys.argv[1], sys.argv[2], sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
