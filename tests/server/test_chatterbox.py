"""Chatterbox behind the server, with tiny random weights."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.loudspeaker import PCM
from tests.server.serving import Server, say, serving
from tts_cli.audio import to_pcm16
from tts_cli.engines.chatterbox import ENGINE
from tts_cli.engines.chatterbox.options import ChatterboxSettings
from tts_cli.session import Session

pytest.importorskip("torch")

TEXT = "It rains. It pours. The old man snores."


@pytest.fixture(scope="module")
def chatterbox(tiny: Path) -> Iterator[Server]:
    options = ["--model-dir", str(tiny), "--no-watermark", "--precision", "fp32", "--device", "cpu", "--threads", "1"]
    with serving(*options, "--max-listeners", "3", engine="chatterbox") as server:
        yield server


def test_listeners_who_share_the_batch_hear_what_each_hears_alone(chatterbox: Server, tiny: Path) -> None:
    def listen(seed: int) -> PCM:
        with chatterbox.connect("/ws/tts" if seed else "/ws/tts/simple") as client:
            heard = say(client, text=TEXT, seed=seed, chunk=5)
        assert heard.last["state"] == "done", heard.last
        return heard.sound

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(listen, range(3)))
    settings = ChatterboxSettings(model_dir=tiny, watermark=False, precision="fp32", device="cpu", threads=1)
    with Session(ENGINE, settings) as tts:
        for seed, sound in enumerate(found):
            mode = "streaming" if seed else "simple"
            chunks = tts.stream(TEXT, seed=seed, chunk=5, mode=mode)
            expected = np.concatenate([to_pcm16(chunk.samples) for chunk in chunks])
            np.testing.assert_array_equal(sound, expected)
