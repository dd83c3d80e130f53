"""Checks of what Chatterbox needs, for `tts doctor`: packages, weights, voices, caches and the processor."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from rich.filesize import decimal
from safetensors import SafetensorError, safe_open

from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.precision.choice import choose, fast_bf16
from tts_cli.engines.chatterbox.precision.kernels import int8_engine, int8_saturates
from tts_cli.engines.chatterbox.precision.weight_cache import cache_dir
from tts_cli.engines.chatterbox.tuning.plan import Plan, plan_for
from tts_cli.engines.chatterbox.voice.conditionals import Conditionals
from tts_cli.engines.chatterbox.voice.store import VoiceStore
from tts_cli.engines.chatterbox.weights.config import read_config
from tts_cli.engines.chatterbox.weights.locate import INSTALL, installed, locate
from tts_cli.engines.chatterbox.weights.tensors import pick_device
from tts_cli.errors import MissingError, ModelError, TTSError, UsageError
from tts_cli.finding import Finding, finding, versions
from tts_cli.paths import explained

PACKAGES: Final = ("torch", "chatterbox-tts", "safetensors", "huggingface-hub", "tokenizers", "av")
LEAST_FREE: Final = 1_000_000_000
"""Bytes that the cache's disk should have free: T3 in int8, and voices."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BLOCK: Final = 1 << 20


def findings(settings: ChatterboxSettings, thorough: bool) -> Iterator[Finding]:
    """Run all checks, each when its finding is asked for.

    Parameters
    ----------
    settings
        The settings that Chatterbox is to have.
    thorough
        Whether to read all weights and compare them with the digests that they were downloaded with.
    """
    folder = locate(settings.model, settings.model_dir)
    yield finding("packages", lambda: versions(PACKAGES, f"run: {INSTALL}"))
    yield finding("weights", lambda: _weights(folder, thorough))
    yield finding("downloads", lambda: _downloads(settings))
    yield finding("voices", lambda: _voices(VoiceStore(settings.voices_dir, folder)))
    yield finding("cache", _cache)
    plan = plan_for(settings, folder)
    yield finding("tuning", lambda: _tuning(plan))
    yield finding("numbers", lambda: _numbers(settings, plan))


def _weights(folder: Path, thorough: bool) -> str:
    """Check that each weights file is whole: its header lists tensors that fill it exactly."""
    read_config(folder)
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        _check_header(file)
    compared = sum(map(_equals_its_digest, files)) if thorough else 0
    said = f"{decimal(sum(file.stat().st_size for file in files))} in {folder}, whole"
    if not thorough:
        return said
    if compared < len(files):
        return f"{said}; {len(files) - compared} of {len(files)} files have no digest to compare with"
    return f"{said} and equal to their digests"


def _check_header(file: Path) -> None:
    try:
        with safe_open(file, framework="pt"):  # type: ignore[no-untyped-call]
            pass
    except (SafetensorError, OSError) as error:
        raise _damaged(file, str(error)) from error


def _equals_its_digest(file: Path) -> bool:
    """Compare a file with the digest that names it in the cache. Returns False if it has none."""
    blob = file.resolve()
    if not _DIGEST.fullmatch(blob.name):
        return False
    digest = hashlib.sha256()
    with explained("read", blob, "make it readable"), blob.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != blob.name:
        raise _damaged(file, "its content does not have its digest")
    return True


def _damaged(file: Path, why: str) -> ModelError:
    return ModelError(f"{file} is damaged: {why}", f"delete {file.resolve()} and run: tts model pull")


def _downloads(settings: ChatterboxSettings) -> str:
    here = installed(settings.model_dir)
    partial = max((each.partial for each in here), default=0)
    if partial:
        raise TTSError(f"one was interrupted after {decimal(partial)}", "run: tts model pull")
    return f"none is incomplete; models here: {', '.join(sorted({each.model.name for each in here}))}"


def _voices(store: VoiceStore) -> str:
    names = store.names()
    damaged = [f"{name} ({why})" for name in names if (why := _fault(store, name))]
    if damaged:
        raise ModelError(f"cannot be used: {', '.join(damaged)}", "remove such a voice and make it again: tts voice")
    if not names:
        raise MissingError(f"there is none in {store.directory}", "make one with: tts voice cache FILE")
    return f"{', '.join(names)}; those that were made here are in {store.directory}"


def _fault(store: VoiceStore, name: str) -> str:
    """What is wrong with a voice; empty if nothing is."""
    try:
        Conditionals.load(store.path(name))
    except (ModelError, UsageError) as error:
        return error.message
    return ""


def _cache() -> str:
    folder = cache_dir()
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    place = next(each for each in (folder, *folder.parents) if each.is_dir())
    free = shutil.disk_usage(place).free
    said = f"{decimal(sum(file.stat().st_size for file in files))} of quantised weights in {folder}"
    if free < LEAST_FREE:
        raise TTSError(f"{said}, and only {decimal(free)} free", "free some space, or set TTS_CACHE_DIR")
    return f"{said}, {decimal(free)} free"


def _tuning(plan: Plan) -> str:
    """What was measured on this machine, and what follows from it."""
    stored, choice = plan.stored, plan.choice
    if stored.state == "damaged":
        raise ModelError(f"{stored.file} is damaged and is ignored", "measure again with: tts tune")
    if stored.state == "stale":
        raise TTSError("measured with other versions or other weights", "measure again with: tts tune")
    if stored.state == "missing":
        return "not measured; tts tune does it in 20 s"
    if choice is None:
        return f"measured on {stored.created[:10]}, but not with what is asked for"
    return f"measured on {stored.created[:10]}: {choice.row.way} (RTF {choice.row.rtf:.2f}): {choice.why}"


def _numbers(settings: ChatterboxSettings, plan: Plan) -> str:
    """What the processor can compute in, and what that is used for."""
    place, precision = plan.timed or (settings.device, settings.precision)
    device = pick_device(place)
    chosen = choose(precision, device)
    able = [torch.backends.cpu.get_cpu_capability()]
    able.append("bf16" if fast_bf16(torch.device("cpu")) else "no bf16")
    if int8_engine():
        able.append("int8 in 7 bits (no VNNI)" if int8_saturates() else "int8 in 8 bits (VNNI)")
    else:
        able.append("no int8")
    return f"{chosen.why} on {device.type}; this CPU has {', '.join(able)}"
