"""S3Gen as an API of its own: speech tokens in, samples out, whole or as they come.

decoder = S3GenDecoder.load(folder)
stream = decoder.stream(conditionals.gen, strategy="context", seed=0)
samples = stream.push(tokens)          # float32 [m], m may be 0
samples = stream.push([], final=True)  # the rest
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tts_cli.audio import Samples, as_samples
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.s3gen.cached import CachedFlow, VoicePast
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt, check_tokens
from tts_cli.engines.chatterbox.s3gen.noise import Noise, SeededNoise
from tts_cli.engines.chatterbox.s3gen.strategies import WAYS, Strategy, Utterance
from tts_cli.engines.chatterbox.s3gen.vocoder import Vocoder
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, read_config
from tts_cli.engines.chatterbox.weights.tensors import load_module, pick_device
from tts_cli.errors import UsageError

Tokens: TypeAlias = "Tensor | npt.NDArray[np.integer[Any]] | Sequence[int]"
"""Speech tokens `[n]`, ids below `SPEECH_VOCABULARY`."""


class S3GenStream:
    """One utterance on its way. Made by `S3GenDecoder.stream`; not for two threads at once."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._ended = False

    def push(self, tokens: Tokens, final: bool = False) -> Samples:
        """The samples, float32 `[m]`, that tokens `[n]` make possible; m is 0 where more tokens are needed.

        `final` says that no token follows, and brings out all that was held back: in the end there are 960
        samples for each token. Raises `UsageError` for an id that is no speech token, and after `final`.
        """
        return self.begin(tokens, final)()

    def begin(self, tokens: Tokens, final: bool = False) -> Callable[[], Samples]:
        """As `push`, in two parts: the flow's now, the vocoder's when what this returns is called.

        It is to be called once, in the order in which it was begun, and may be in another thread.
        """
        if self._ended:
            raise UsageError("this utterance has ended", "begin another with S3GenDecoder.stream")
        checked = _checked(tokens)
        self._ended = final
        with torch.inference_mode():
            sound = self._strategy.push(checked, final)

        def finish() -> Samples:
            with torch.inference_mode():
                return as_samples(sound().cpu().numpy())

        return finish


class S3GenDecoder:
    """Chatterbox Turbo's flow and vocoder. Read-only once loaded, so that utterances may share it."""

    def __init__(self, flow: Flow, vocoder: Vocoder, cache_dtype: torch.dtype = torch.float32) -> None:
        """`cache_dtype` is the type of the keys and values that `cached` stores."""
        self.flow = flow
        self.vocoder = vocoder
        self.cached = CachedFlow(flow, cache_dtype)
        self._known: tuple[str, VoicePast] | None = None

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", precision: str = "fp32") -> S3GenDecoder:
        """The decoder of the weights in `folder`: `s3gen_meanflow.safetensors` and, if there, `config.json`.

        `device` is `auto`, `cpu`, `cuda` or `mps`; `precision` is a name in `precision.PRECISIONS` or `auto`.
        Raises `MissingError` where file or device are not here, `ModelError` naming file and tensor where the
        weights are damaged or do not fit, `UsageError` for an unknown device or precision.
        """
        folder, chosen = Path(folder), pick_device(device)
        kind = choose(precision, chosen).s3gen
        config = read_config(folder)
        flow = load_module(lambda: Flow(config), folder / S3GEN_FILE, "flow.", chosen)
        vocoder = Vocoder.load(folder, config, chosen)
        if kind == "fp32":
            return cls(flow, vocoder)
        flow.decoder.estimator.convert(kind)
        for part in (flow.encoder, vocoder.network.resblocks, vocoder.network.source_resblocks):
            convert(part, kind)
        return cls(flow, vocoder, torch.bfloat16)

    def stream(
        self,
        conditionals_gen: Mapping[str, Any],
        strategy: str | Callable[[Utterance], Strategy] = "context",
        seed: int = 0,
        noise: Noise | None = None,
        past: VoicePast | None = None,
    ) -> S3GenStream:
        """An utterance in the voice of upstream's `Conditionals.gen`, decoded in the way called `strategy`.

        `strategy` may also be what makes one, such as `partial(Context, window=50)`. `noise` stands in for
        the noise that `seed` fixes, `past` for what `cached` would compute of the voice: see `past`. Raises
        `UsageError` for an unknown strategy, `ModelError` where the voice does not fit.
        """
        if isinstance(strategy, str):
            if strategy not in WAYS:
                raise UsageError(f"there is no strategy called {strategy!r}", f"choose: {', '.join(WAYS)}")
            strategy = WAYS[strategy]
        with torch.inference_mode():
            return S3GenStream(strategy(self._utterance(conditionals_gen, seed, noise, past)))

    def past(self, conditionals_gen: Mapping[str, Any], seed: int = 0) -> VoicePast:
        """What `cached` keeps of a voice: computed once, for any number of utterances, with any noise of their own.

        Takes some seconds of computing on a CPU, and 115 or 230 MB for a reference of 10 s (bf16, fp32).
        """
        with torch.inference_mode():
            return self._past(self.flow.prompt(conditionals_gen), SeededNoise(seed))

    def whole(
        self, conditionals_gen: Mapping[str, Any], tokens: Tokens, seed: int = 0, noise: Noise | None = None
    ) -> Samples:
        """The samples `[960 n]` of tokens `[n]` decoded at once; every stream is measured against it.

        It is what upstream's `S3Gen.inference` makes of the same tokens and noise.
        Raises as `stream` and `push` do.
        """
        checked = _checked(tokens)
        with torch.inference_mode():
            return as_samples(self._utterance(conditionals_gen, seed, noise).alone(checked)().cpu().numpy())

    def _utterance(
        self, conditionals_gen: Mapping[str, Any], seed: int, noise: Noise | None, past: VoicePast | None = None
    ) -> Utterance:
        prompt, drawn = self.flow.prompt(conditionals_gen), noise or SeededNoise(seed)
        known = (lambda: past) if past is not None else (lambda: self._past(prompt, drawn))
        return Utterance(self.flow, self.vocoder, prompt, drawn, self.cached, known)

    def _past(self, prompt: Prompt, noise: Noise) -> VoicePast:
        """The voice's past begun from `noise`; the last one is remembered."""
        begun = noise.prompt(prompt.frames)
        digest = hashlib.sha256()
        for tensor in (prompt.tokens, prompt.mels, prompt.speaker, begun):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        known, key = self._known, digest.hexdigest()
        if known is None or known[0] != key:
            self._known = known = key, self.cached.voice(prompt, begun)
        return known[1]


def _checked(tokens: Tokens) -> Tensor:
    """`tokens` as int64 `[n]` on the CPU. Raises `UsageError` where they are not speech tokens."""
    found = np.asarray(tokens.detach().cpu() if isinstance(tokens, Tensor) else tokens)
    if found.size and found.dtype.kind not in "iu":
        raise UsageError("speech tokens are whole numbers", f"pass int64, not {found.dtype}")
    if found.ndim > 1 and found.size != found.shape[-1]:
        raise UsageError(f"speech tokens come as [n], not {list(found.shape)}", "decode one at a time")
    return check_tokens(torch.from_numpy(found.reshape(-1).astype(np.int64)))
