"""Write a folder of random Chatterbox weights that keep every activation finite and every sound audible.

    python scripts/make_checkpoint.py OUT --size tiny --seed 0

`full` has the sizes and all the tensors of the released model, so that upstream's
`ChatterboxTurboTTS.from_local(OUT, "cpu")` loads it (chatterbox-tts must be installed). `tiny` holds only the
parts needed to speak, at sizes written to its `config.json`, and is made in moments.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tts_cli.engines.chatterbox import TAGS
from tts_cli.engines.chatterbox.s3gen.flow import Flow
from tts_cli.engines.chatterbox.s3gen.hift import HiFT
from tts_cli.engines.chatterbox.weights.config import (
    SPEECH_IDS,
    SPEECH_VOCABULARY,
    T3_FILES,
    TEXT_VOCABULARY,
    read_config,
)
from tts_cli.engines.chatterbox.weights.tensors import stored_shapes

if TYPE_CHECKING:
    import torch

Tensors: TypeAlias = "dict[str, torch.Tensor]"

TINY: dict[str, dict[str, Any]] = {
    "t3": {"n_layer": 2, "n_embd": 16, "n_head": 2},
    "encoder": {
        "input_size": 16,
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 32,
        "num_blocks": 1,
        "num_up_blocks": 1,
    },
    "estimator": {"channels": [16], "attention_head_dim": 8, "n_blocks": 1, "num_mid_blocks": 1, "num_heads": 2},
    "vocoder": {
        "base_channels": 16,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 3]],
        "source_resblock_kernel_sizes": [3, 3, 3],
        "source_resblock_dilation_sizes": [[1], [1], [1]],
        "f0_cond_channels": 8,
    },
}
GPT2_VOCABULARY = 50_257


def normal(shape: tuple[int, ...], scale: float, seed: int, name: str) -> torch.Tensor:
    """Normal numbers that depend on seed and name alone, not on the order of writing."""
    import torch

    generator = torch.Generator().manual_seed(hash_of(f"{seed}:{name}"))
    return torch.empty(shape).normal_(0.0, scale, generator=generator)


def hash_of(text: str) -> int:
    """A number below 2 ** 62 that is the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 2


def weight(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """A random tensor with the scale that its place in the model asks for."""
    if name.endswith("f0_predictor.classifier.weight"):
        return normal(shape, 400.0 / math.sqrt(shape[1]), seed, name)
    if name.endswith("f0_predictor.classifier.bias"):
        return normal(shape, 1.0, seed, name) + 120.0  # Hz: some frames fall silent below 10, most are voiced
    if name.endswith("conv_post.bias"):
        louder = normal(shape, 0.3, seed, name)
        louder[: shape[0] // 2] -= 2.5  # log magnitudes: about a tenth of full scale
        return louder
    if name.endswith("original0"):  # the magnitude of a weight-normed convolution
        gain = 2.0 if ".ups." in name else 0.7
        return normal(shape, 0.1 * gain, seed, name) + gain
    if name.endswith("alpha"):
        return normal(shape, 0.2, seed, name) + 1.0
    if len(shape) == 1:
        is_norm = "norm" in name or ".ln_" in name or ".block.2." in name or ".embed.out.1." in name
        is_norm = is_norm or ".up_embed.out.1." in name
        return normal(shape, 0.05, seed, name) + (1.0 if is_norm and name.endswith("weight") else 0.0)
    if any(part in name for part in ("emb.weight", "wte", "wpe", "embedding")):
        return normal(shape, 0.1 if "wpe" in name else 1.0, seed, name)
    # GPT-2 keeps its matrices as [in, out], all others have their inputs after the first axis.
    inputs = shape[0] if ".attn.c_" in name or ".mlp.c_" in name else math.prod(shape[1:])
    return normal(shape, 1.0 / math.sqrt(inputs), seed, name)


def t3_shapes(n_layer: int, n_embd: int) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes of upstream's `T3` around a GPT-2 of that size."""
    shapes: dict[str, tuple[int, ...]] = {
        "tfmr.wte.weight": (TEXT_VOCABULARY, n_embd),
        "tfmr.wpe.weight": (8196, n_embd),
        "tfmr.ln_f.weight": (n_embd,),
        "tfmr.ln_f.bias": (n_embd,),
        "cond_enc.spkr_enc.weight": (n_embd, 256),
        "cond_enc.spkr_enc.bias": (n_embd,),
        "text_emb.weight": (TEXT_VOCABULARY, n_embd),
        "speech_emb.weight": (SPEECH_IDS, n_embd),
        "text_head.weight": (TEXT_VOCABULARY, n_embd),
        "speech_head.weight": (SPEECH_IDS, n_embd),
        "speech_head.bias": (SPEECH_IDS,),
    }
    for i in range(n_layer):
        for name, sizes in {
            "ln_1": (n_embd,),
            "attn.c_attn": (n_embd, 3 * n_embd),
            "attn.c_proj": (n_embd, n_embd),
            "ln_2": (n_embd,),
            "mlp.c_fc": (n_embd, 4 * n_embd),
            "mlp.c_proj": (4 * n_embd, n_embd),
        }.items():
            shapes[f"tfmr.h.{i}.{name}.weight"] = sizes
            shapes[f"tfmr.h.{i}.{name}.bias"] = sizes[-1:]
    return shapes


def voice_encoder_shapes() -> Mapping[str, tuple[int, ...]]:
    """Names and shapes of upstream's `VoiceEncoder`, an LSTM of three layers."""
    shapes: dict[str, tuple[int, ...]] = {"proj.weight": (256, 256), "proj.bias": (256,)}
    for layer in range(3):
        shapes[f"lstm.weight_ih_l{layer}"] = (1024, 256 if layer else 40)
        shapes[f"lstm.weight_hh_l{layer}"] = (1024, 256)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (1024,)
    return shapes


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> Tensors:
    return {name: weight(name, shape, seed) for name, shape in shapes.items()}


def s3gen_tensors(folder: Path, seed: int, *, full: bool) -> Tensors:
    """Flow and vocoder; for `full` also upstream's speech tokenizer and speaker encoder."""
    config = read_config(folder)
    shapes = stored_shapes(lambda: Flow(config), "flow.") | stored_shapes(lambda: HiFT(config.vocoder), "mel2wav.")
    tensors = random_tensors(shapes, seed)
    return tensors | (voice_side(seed) if full else {})


def voice_side(seed: int) -> Tensors:
    """The parts that turn a reference recording into conditionals, as upstream itself initialises them."""
    import torch
    from chatterbox.models.s3gen.s3gen import S3Tokenizer
    from chatterbox.models.s3gen.xvector import CAMPPlus

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer, encoder = S3Tokenizer("speech_tokenizer_v2_25hz"), CAMPPlus(memory_efficient=False)
    parts = {"tokenizer": tokenizer, "speaker_encoder": encoder}
    return {f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}


def conditionals(seed: int, tokens: int, t3_tokens: int) -> dict[str, Any]:
    """What upstream's `Conditionals.save` writes, for a voice that never spoke."""
    import torch

    generator = torch.Generator().manual_seed(hash_of(f"{seed}:conds"))

    def ids(count: int) -> torch.Tensor:
        return torch.randint(0, SPEECH_VOCABULARY, (1, count), generator=generator)

    speaker = torch.rand(1, 256, generator=generator)
    return {
        "t3": {
            "speaker_emb": speaker / speaker.norm(),
            "clap_emb": None,
            "cond_prompt_speech_tokens": ids(t3_tokens),
            "cond_prompt_speech_emb": None,
            "emotion_adv": torch.full((1, 1, 1), 0.5),
        },
        "gen": {
            "prompt_token": ids(tokens),
            "prompt_token_len": torch.tensor([tokens]),
            "prompt_feat": normal((1, 2 * tokens, 80), 1.0, seed, "prompt_feat"),
            "prompt_feat_len": None,
            "embedding": normal((1, 192), 1.0, seed, "embedding"),
        },
    }


def byte_symbols() -> list[str]:
    """GPT-2's 256 printable stand-ins for bytes, in the order of its vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def merges() -> Iterator[tuple[str, str]]:
    """Pairs of symbols to join: all pairs of letters, then those pairs with a third letter, and so on."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, "Ġ"]
    while True:
        pairs = [(word, letter) for word in words for letter in letters]
        yield from pairs
        words = ["".join(pair) for pair in pairs]


def write_tokenizer(folder: Path) -> None:
    """A byte-level BPE in GPT-2's files: it splits English into short pieces and knows the sound tags."""
    end = "<|endoftext|>"
    symbols = byte_symbols()
    pairs = list(islice(merges(), GPT2_VOCABULARY - len(symbols) - 1))
    vocabulary = [*symbols, *("".join(pair) for pair in pairs), end]
    tags = [f"[{tag}]" for tag in TAGS]
    added = {tag: len(vocabulary) + i for i, tag in enumerate(tags)}
    write_json(folder / "vocab.json", {symbol: i for i, symbol in enumerate(vocabulary)})
    lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(folder / "added_tokens.json", added)
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), end)
    write_json(folder / "special_tokens_map.json", special)
    kind = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "model_max_length": 1024}
    write_json(folder / "tokenizer_config.json", kind | special)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_checkpoint(folder: Path, size: str = "tiny", seed: int = 0, model: str = "turbo") -> None:
    """Write all files of one checkpoint.

    Parameters
    ----------
    folder
        Where to write; an empty folder.
    size, seed, model
        As the options of the script.
    """
    import torch
    from safetensors.torch import save_file

    full = size == "full"
    if not full:
        write_json(folder / "config.json", TINY)
    t3_file = f"t3_{model}_v1.safetensors"
    t3 = T3_FILES[t3_file]
    width = (t3.n_layer, t3.n_embd) if full else (TINY["t3"]["n_layer"], TINY["t3"]["n_embd"])
    save_file(random_tensors(t3_shapes(*width), seed), folder / t3_file)
    save_file(s3gen_tensors(folder, seed, full=full), folder / "s3gen_meanflow.safetensors")
    ve = random_tensors(voice_encoder_shapes(), seed)
    ve |= {"similarity_weight": torch.tensor([10.0]), "similarity_bias": torch.tensor([-5.0])}
    save_file(ve, folder / "ve.safetensors")
    torch.save(conditionals(seed, *((250, 375) if full else (10, 15))), folder / "conds.pt")
    write_tokenizer(folder)


def main() -> int:
    from safetensors import SafetensorError

    parser = argparse.ArgumentParser(description="Write random Chatterbox weights in the upstream layout.")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make; it must not be there yet")
    parser.add_argument("--size", choices=("full", "tiny"), default="tiny")
    parser.add_argument("--model", choices=("turbo", "nano"), default="turbo")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out: Path = options.out
    if out.exists():
        return complain(f"{out} is already there; name a folder that is not")
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        return complain(f"cannot write beside {out}: {error.strerror}")
    try:
        write_checkpoint(partial, options.size, options.seed, options.model)
        partial.chmod(0o755)
        partial.rename(out)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have their own for a full disk
        return complain(f"cannot write {out}: {error}".splitlines()[0])
    except ImportError as error:
        return complain(f"a full checkpoint needs chatterbox-tts: {error}")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(out)
    return 0


def complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
