"""Which ALSA devices are another name for the user's sound server, by ALSA's own configuration."""

from __future__ import annotations

import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from tts_cli.playback.alsa import is_sound_server

pytestmark = pytest.mark.skipif(find_library("asound") is None, reason="needs ALSA's library")

CONFIGURATION = """
pcm.plain { type pulse }
pcm.elsewhere { type pulse server "other:4713" }
pcm.chosen { type pulse device "headset" }
pcm.wire { type pipewire playback_node "-1" capture_node "-1" }
pcm.wired { type pipewire playback_node "headset" }
pcm.louder { type plug slave.pcm "plain" }
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", True),
        ("wire", True),
        ("elsewhere", False),
        ("chosen", False),
        ("wired", False),
        ("louder", False),
        ("nobody", False),
        ("HDA Intel PCH: ALC (hw:0,0)", False),
    ],
)
def test_a_device_that_leaves_everything_to_the_server_is_the_server(name: str, expected: bool, tmp_path: Path) -> None:
    configuration = tmp_path / "alsa.conf"
    configuration.write_text(CONFIGURATION)
    code = "import sys; from tts_cli.playback.alsa import is_sound_server; print(is_sound_server(sys.argv[1]))"
    environment = {"ALSA_CONFIG_PATH": str(configuration), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, name], env=environment, capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(expected)


def test_a_sound_card_is_not_looked_up() -> None:
    assert not is_sound_server("HDA Intel PCH: ALC (hw:0,0)")
