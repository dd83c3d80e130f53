"""The API of S3Gen: speech tokens come in, and samples go out, for a whole utterance or while its tokens arrive.

decoder = S3GenDecoder.load(folder)
stream = decoder.stream(conditionals.gen, strategy="context", seed=0)
samples = stream.push(tokens)          # float32 [m]; m may be 0
samples = stream.push([], final=True)  # the rest
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tts_cli.audio import Samples, as_samples
from tts_cli.engines.chatterbox.options import FLOW_STEPS
from tts_cli.engines.chatterbox.precision.choice import choose
from tts_cli.engines.chatterbox.precision.conversion import convert
from tts_cli.engines.chatterbox.s3gen.cached import CachedFlow, VoicePast
from tts_cli.engines.chatterbox.s3gen.flow import Flow, Prompt, check_tokens
from tts_cli.engines.chatterbox.s3gen.noise import Noise, SeededNoise
from tts_cli.engines.chatterbox.s3gen.strategies import STRATEGY_CLASSES, Strategy, Utterance
from tts_cli.engines.chatterbox.s3gen.vocoder import Vocoder
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, read_config
from tts_cli.engines.chatterbox.weights.tensors import load_module, pick_device
from tts_cli.errors import UsageError

Tokens: TypeAlias = "Tensor | npt.NDArray[np.integer[Any]] | Sequence[int]"
"""Speech tokens `[n]`: whole numbers from 0 to 6560."""


class S3GenStream:
    """Decodes one utterance while its tokens arrive. `S3GenDecoder.stream` makes it.

    Only one thread at a time may use it.

    Parameters
    ----------
    strategy
        Decodes the utterance.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._ended = False

    def push(self, tokens: Tokens, final: bool = False) -> Samples:
        """Decode the next tokens.

        Parameters
        ----------
        tokens
            The next tokens of the utterance, `[n]`; n may be 0.
        final
            Whether the utterance ends with them. Then nothing is held back.

        Returns
        -------
        Samples
            What the tokens so far make possible, float32 `[m]`; m may be 0. In the end, there are 960 samples for each
            token.

        Raises
        ------
        UsageError
            If something in `tokens` is not a speech token, or if the utterance has ended.
        """
        return self.begin(tokens, final)()

    def begin(self, tokens: Tokens, final: bool = False) -> Callable[[], Samples]:
        """Decode the next tokens in two parts: the flow runs at once, and the vocoder when the result is called.

        The parameters and errors are those of `push`.

        Returns
        -------
        callable
            Returns the samples. All results must be called once and in order. Another thread may do that.
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
    """The flow and the vocoder of Chatterbox. Utterances in several threads can share it.

    Parameters
    ----------
    flow, vocoder
        The networks, with their weights.
    cache_dtype
        The type of the keys and values that `cached` stores.
    """

    def __init__(self, flow: Flow, vocoder: Vocoder, cache_dtype: torch.dtype = torch.float32) -> None:
        self.flow = flow
        self.vocoder = vocoder
        self.cached = CachedFlow(flow, cache_dtype)
        self._known: tuple[str, VoicePast] | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "cpu",
        precision: str = "fp32",
        flow_steps: int = FLOW_STEPS,
        pool: Executor | None = None,
    ) -> S3GenDecoder:
        """Load a decoder.

        Parameters
        ----------
        folder
            The folder with `s3gen_meanflow.safetensors` and, for other sizes than Turbo's, `config.json`.
        device
            `cpu`, `cuda`, `mps` or `auto`.
        precision
            One of `options.PRECISIONS`, or `auto`.
        flow_steps
            How many steps the flow takes: 2 as upstream, or 1.
        pool
            Loads the vocoder at the same time as the flow; None to load one after the other. A caller that itself runs
            in `pool` needs another worker there.

        Returns
        -------
        S3GenDecoder
            Ready to decode.

        Raises
        ------
        MissingError
            If the file or the device does not exist.
        ModelError
            If the weights are damaged or have other sizes. The message names file and tensor.
        UsageError
            If the device or the precision is unknown, or the device cannot compute in the precision.
        """
        folder, chosen = Path(folder), pick_device(device)
        kind = choose(precision, chosen).s3gen
        config = read_config(folder)

        def load_vocoder() -> Vocoder:
            vocoder = Vocoder.load(folder, config, chosen)
            for part in (vocoder.network.resblocks, vocoder.network.source_resblocks):
                convert(part, kind)
            return vocoder

        loading = pool.submit(load_vocoder) if pool is not None else None
        flow = load_module(lambda: Flow(config, flow_steps), folder / S3GEN_FILE, "flow.", chosen)
        if kind != "fp32":
            flow.decoder.estimator.convert(kind)
            convert(flow.encoder, kind)
        vocoder = loading.result() if loading is not None else load_vocoder()
        return cls(flow, vocoder, torch.float32 if kind == "fp32" else torch.bfloat16)

    def stream(
        self,
        conditionals_gen: Mapping[str, Any],
        strategy: str | Callable[[Utterance], Strategy] = "context",
        seed: int = 0,
        noise: Noise | None = None,
        past: VoicePast | None = None,
    ) -> S3GenStream:
        """Begin an utterance.

        Parameters
        ----------
        conditionals_gen
            The voice: upstream's `Conditionals.gen`.
        strategy
            One of `options.STRATEGIES`, or a callable that makes a strategy, such as `partial(Context, window=50)`.
        seed
            Fixes the noise.
        noise
            Noise to use instead.
        past
            The past of the voice for `cached`; None to compute it.

        Returns
        -------
        S3GenStream
            It takes tokens and gives samples.

        Raises
        ------
        UsageError
            If the strategy is unknown.
        ModelError
            If the voice does not fit the model.
        """
        if isinstance(strategy, str):
            if strategy not in STRATEGY_CLASSES:
                known = ", ".join(STRATEGY_CLASSES)
                raise UsageError(f"there is no strategy called {strategy!r}", f"choose one of: {known}")
            strategy = STRATEGY_CLASSES[strategy]
        with torch.inference_mode():
            return S3GenStream(strategy(self._utterance(conditionals_gen, seed, noise, past)))

    def past(self, conditionals_gen: Mapping[str, Any], seed: int = 0) -> VoicePast:
        """Compute the past of a voice, for any number of utterances with the strategy `cached`.

        On a CPU it takes some seconds. For a reference of 10 s, it has 115 MB in bf16 and 230 MB in fp32.

        Parameters
        ----------
        conditionals_gen
            The voice: upstream's `Conditionals.gen`.
        seed
            Fixes the noise that the voice's mel frames begin as. It need not be the seed of the utterances.
        """
        with torch.inference_mode():
            return self._past(self.flow.prompt(conditionals_gen), SeededNoise(seed))

    def whole(
        self, conditionals_gen: Mapping[str, Any], tokens: Tokens, seed: int = 0, noise: Noise | None = None
    ) -> Samples:
        """Decode a whole utterance at once. Streams are compared with its result.

        Parameters
        ----------
        conditionals_gen, seed, noise
            As for `stream`.
        tokens
            All tokens of the utterance, `[n]`.

        Returns
        -------
        Samples
            Float32 `[960 n]`.

        Raises
        ------
        TTSError
            As `stream` and `S3GenStream.push` do.

        References
        ----------
        For the same tokens and noise, the result is that of `S3Token2Wav.inference` in chatterbox-tts 0.1.7
        (models/s3gen/s3gen.py).
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
        """The past of a voice, whose mel frames begin as `noise`. The last past is cached."""
        begun = noise.prompt(prompt.frames)
        digest = hashlib.sha256()
        for tensor in (prompt.tokens, prompt.mels, prompt.speaker, begun):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        known, key = self._known, digest.hexdigest()
        if known is None or known[0] != key:
            self._known = known = key, self.cached.voice(prompt, begun)
        return known[1]


def _checked(tokens: Tokens) -> Tensor:
    """`tokens` as int64 `[n]` on the CPU. Raises `UsageError` if they are not speech tokens."""
    found = np.asarray(tokens.detach().cpu() if isinstance(tokens, Tensor) else tokens)
    if found.size and found.dtype.kind not in "iu":
        raise UsageError("speech tokens are whole numbers", f"pass int64, not {found.dtype}")
    if found.ndim > 1 and found.size != found.shape[-1]:
        raise UsageError(
            f"speech tokens must have the shape [n], not {list(found.shape)}", "decode one utterance at a time"
        )
    return check_tokens(torch.from_numpy(found.reshape(-1).astype(np.int64)))
