"""Voices that stay loaded, and what is kept of them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engines.chatterbox.speaking import OPTIONS, TEXT, sound
from tests.given import Given
from tts_cli.audio import AudioChunk, Samples
from tts_cli.engines.chatterbox.engine import ChatterboxEngine
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.engines.chatterbox.voice.loaded import MOST
from tts_cli.errors import UsageError


def test_voices(tiny: Path, settings: ChatterboxSettings, engine: ChatterboxEngine) -> None:
    assert settings.voices_dir is not None
    assert engine.voices() == ["default"]
    anna = settings.voices_dir / "anna.pt"
    content = torch.load(tiny / "conds.pt", weights_only=True)
    torch.save(content, anna)
    assert engine.voices() == ["default", "anna"]
    with pytest.raises(UsageError, match="anna"):
        next(iter(engine.stream(Given(TEXT), "zoe", OPTIONS)))

    def first(voice: str) -> Samples:
        return next(iter(engine.stream(Given(TEXT), voice, OPTIONS))).samples

    np.testing.assert_array_equal(first("anna"), first("default"))
    assert (settings.voices_dir / "anna.t3.safetensors").exists()
    content["t3"]["speaker_emb"] = -content["t3"]["speaker_emb"]
    torch.save(content, anna)
    changed = first("anna")
    assert not np.array_equal(changed, first("default"))
    (settings.voices_dir / "anna.t3.safetensors").write_bytes(b"damaged")
    engine.close()
    np.testing.assert_array_equal(first("anna"), changed)
    anna.unlink()


def test_the_kept_prefix_changes_nothing(settings: ChatterboxSettings, engine: ChatterboxEngine) -> None:
    assert settings.voices_dir is not None
    computed = sound(engine, OPTIONS)
    kept = settings.voices_dir / "default.t3.safetensors"
    before = kept.stat().st_mtime_ns
    engine.close()
    np.testing.assert_array_equal(sound(engine, OPTIONS), computed)
    assert kept.stat().st_mtime_ns == before
    assert [file.name for file in settings.voices_dir.iterdir() if file.name.startswith(".")] == []


def test_only_the_voices_last_used_stay_loaded(settings: ChatterboxSettings, tiny: Path, tmp_path: Path) -> None:
    engine = ChatterboxEngine(replace(settings, voices_dir=tmp_path))
    names = [f"v{number}" for number in range(MOST + 1)]
    for name in names:
        shutil.copy(tiny / "conds.pt", tmp_path / f"{name}.pt")
    options = replace(OPTIONS, tokens=30, chunk=10)

    def start(name: str) -> Iterator[AudioChunk]:
        chunks = engine.stream(Given(TEXT), name, options)
        next(chunks)
        return chunks

    in_use = start(names[0])
    for name in names[1:MOST]:
        list(start(name))
    list(start(names[1]))
    list(start(names[MOST]))
    assert [path.stem for path in engine._voices._loaded] == [*names[2:MOST], names[1], names[MOST]]
    assert len(list(in_use)) > 1, "a voice that went is not lost under its user"
    list(start(names[0]))
    assert len(engine._voices._loaded) == MOST


def test_threads_that_ask_for_a_voice_at_once_share_it(settings: ChatterboxSettings, tmp_path: Path) -> None:
    engine = ChatterboxEngine(replace(settings, voices_dir=tmp_path))
    together = threading.Barrier(4)

    def ask(_number: int) -> object:
        together.wait(timeout=60)
        return engine._voices.get("default")

    with ThreadPoolExecutor(4) as pool:
        assert len({id(voice) for voice in pool.map(ask, range(4))}) == 1
