"""Cases of damaged files: cached files of a voice, voices, and recordings."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzzing import inputs
from fuzzing.bench import Bench, Done, Kind, Plan
from fuzzing.checks import FaultError, check_left, check_samples, heard
from fuzzing.requests import run_command
from tts_cli.engines import VoiceInfo
from tts_cli.engines.chatterbox.voice.store import VoiceStore

SUFFIXES: Final = (".pt", ".t3.safetensors", ".flow.safetensors")
TENSORS: Final = (
    *(("gen", name) for name in ("prompt_token", "prompt_token_len", "prompt_feat", "prompt_feat_len", "embedding")),
    *(("t3", name) for name in ("speaker_emb", "cond_prompt_speech_tokens", "clap_emb", "emotion_adv")),
)
FORMS: Final = (
    *(("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")),
    *(("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24"), ("AU", "ULAW"), ("CAF", "ALAC_16"), ("W64", "PCM_16")),
)


def plan_json(rng: Random, _bench: Bench) -> Plan:
    keys = [*asdict(VoiceInfo("a", "b")), "x", "\x1b[31m", "[/x]"]
    values = {"name": rng.choice(("a", "x-1", "ü")), "what": rng.choice(("list", "info"))}
    return Plan("json", inputs.json_bytes(rng, keys), values)


def run_json(plan: Plan, bench: Bench) -> Done:
    name, store = plan.values["name"], VoiceStore(bench.voices)
    (bench.voices / f"{name}.pt").touch()
    (bench.voices / f"{name}.json").write_bytes(plan.text)
    if [info.name for info in store.list()] != [name]:
        raise FaultError("the voice is not listed")
    about = ["list"] if plan.values["what"] == "list" else ["info", name]
    values = {"arguments": ["voice", *about, "--voices-dir", str(bench.voices)], "piped": False, "file": b""}
    done = run_command(Plan("command", b"", values), bench)
    if done.refused:
        raise FaultError(f"a damaged JSON must not matter: {done.refused}")
    said = (bench.folder / "stdout").read_text(errors="replace").replace("\n", "")
    if controls := {each for each in said if each < " " or "\x7f" <= each < "\xa0"}:
        raise FaultError(f"control characters on stdout: {controls}")
    store.remove(name)
    check_left(bench.voices, [])
    return done


def plan_voice(rng: Random, _bench: Bench) -> Plan:
    values: dict[str, Any] = {"suffix": rng.choice((".pt", ".pt", *SUFFIXES)), "seed": rng.randrange(2**63)}
    if values["suffix"] == ".pt" and rng.random() < 0.6:
        values |= {"tensor": rng.choice(TENSORS), "change": rng.choice(sorted(CHANGES))}
    return Plan("voice", "", values)


def run_voice(plan: Plan, bench: Bench) -> Done:
    for file in _good_voice(bench):
        shutil.copy(file, bench.voices)
    damaged = bench.voices / f"v{plan.values['suffix']}"
    if "tensor" in plan.values:
        part, name = plan.values["tensor"]
        _change(damaged, part, name, CHANGES[plan.values["change"]])
    else:
        damaged.write_bytes(inputs.damaged(Random(plan.values["seed"]), damaged.read_bytes()))
    bench.session.engine.close()  # it keeps what it has loaded
    seconds = _say(bench)
    check_left(bench.voices, [bench.voices / f"v{suffix}" for suffix in SUFFIXES])
    return Done(seconds)


def _good_voice(bench: Bench) -> list[Path]:
    """The files of a voice, cached ones included. They are made once and then copied."""
    kept = bench.folder.parent / "voice"
    if not kept.exists():
        assert bench.checkpoint is not None
        shutil.copy(bench.checkpoint / "conds.pt", bench.voices / "v.pt")
        _say(bench)
        shutil.copytree(bench.voices, kept)
    return sorted(kept.iterdir())


def _say(bench: Bench) -> float:
    return heard(bench.session.stream("Hello.", voice="v", tokens=10, strategy="cached"))


def _change(file: Path, part: str, name: str, change: Callable[[Any], Any]) -> None:
    import torch

    content = torch.load(file, weights_only=True)
    content[part][name] = change(content[part][name])
    torch.save(content, file)


def _of_tensor(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Apply `change` to a tensor. Anything else becomes a number."""
    return lambda value: 7 if value is None else change(value)


CHANGES: Final[dict[str, Callable[[Any], Any]]] = {
    "none": lambda _value: None,
    "text": lambda _value: "text",
    "empty": _of_tensor(lambda tensor: tensor[..., :0]),
    "flat": _of_tensor(lambda tensor: tensor.flatten()),
    "twice": _of_tensor(lambda tensor: tensor.repeat(2, *[1] * (tensor.ndim - 1)) if tensor.ndim else tensor),
    "longer": _of_tensor(lambda tensor: tensor.repeat(*[1] * (tensor.ndim - 1), 40) if tensor.ndim else tensor),
    "shorter": _of_tensor(lambda tensor: tensor[:, :1] if tensor.ndim > 1 else tensor),
    "negative": _of_tensor(lambda tensor: -tensor - 1),
    "huge": _of_tensor(lambda tensor: tensor * 10**9),
    "tiny": _of_tensor(lambda tensor: tensor * 0),
    "nan": _of_tensor(lambda tensor: tensor * float("nan")),
    "half": _of_tensor(lambda tensor: tensor.half()),
    "double": _of_tensor(lambda tensor: tensor.double()),
    "int32": _of_tensor(lambda tensor: tensor.int()),
    "bool": _of_tensor(lambda tensor: tensor.bool()),
    "complex": _of_tensor(lambda tensor: tensor + 1j),
    "sparse": _of_tensor(lambda tensor: tensor.to_sparse()),
    "meta": _of_tensor(lambda tensor: tensor.to("meta")),
    "gradient": _of_tensor(lambda tensor: tensor.float().requires_grad_()),
    "strided": _of_tensor(lambda tensor: tensor.expand(*[-1] * tensor.ndim).flip(0) if tensor.ndim else tensor),
}


def plan_recording(rng: Random, _bench: Bench) -> Plan:
    values = {
        "form": rng.choice(FORMS),
        "rate": rng.choice((8000, 24_000, 44_100)),
        "channels": rng.choice((1, 2)),
        "seconds": rng.choice((0.1, 5.5)),
        "suffix": rng.choice((".wav", ".mp3", ".pcm", "")),
    }
    return Plan("recording", "", values | {"seed": rng.randrange(2**63)})


def run_recording(plan: Plan, bench: Bench) -> Done:
    from tts_cli.engines.chatterbox.voice.recording import read_recording

    values = plan.values
    file = bench.folder / f"recording{values['suffix']}"
    whole = _recording(values["form"], values["rate"], values["channels"], values["seconds"])
    file.write_bytes(inputs.damaged(Random(values["seed"]), whole))
    sound, duration = read_recording(file)
    check_samples(sound, loudest=float("inf"))  # a recording may have any level
    if not 0 < duration < float("inf"):
        raise FaultError(f"a recording of {duration} s was accepted")
    return Done()


@cache
def _recording(form: tuple[str, str], rate: int, channels: int, seconds: float) -> bytes:
    """A tone with some noise, as a file."""
    import numpy as np
    import soundfile

    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).normal(0, 0.05, (len(time), channels))
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 220 * time)[:, None] + noise, rate, form[1], format=form[0])
    return file.getvalue()


KINDS: Final = {"json": Kind(1, plan_json, run_json)}
CHATTERBOX_KINDS: Final = {"voice": Kind(6, plan_voice, run_voice), "recording": Kind(6, plan_recording, run_recording)}
