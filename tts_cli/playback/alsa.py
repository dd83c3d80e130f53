"""ALSA's configuration, in which a device may be another name for the user's sound server."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_void_p
from typing import Final

SERVERS: Final = ("pulse", "pipewire")
"""Types of devices that play on a sound server. PipeWire's can do what PulseAudio's can."""
KEYS: Final = ("device", "server", "playback_node")
"""What such a device may say about where it plays."""
ANYWHERE: Final = ("", "-1", "pipewire-0")
"""Values of these keys that leave it to the server."""


def is_sound_server(name: str) -> bool:
    """Whether an ALSA device is the output that PulseAudio or PipeWire chooses for a program.

    Parameters
    ----------
    name
        The device, as PortAudio lists it. Sound cards, which have `(hw:…)` in their names, are not looked up.

    Returns
    -------
    bool
        False also for a device with an output or a server of its own.
    """
    if "(hw:" in name:
        return False
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:
        return False
    definition = c_void_p()
    alsa.snd_config_update()
    top = c_void_p.in_dll(alsa, "snd_config")
    if alsa.snd_config_search_definition(top, b"pcm", name.encode(), byref(definition)) < 0:
        return False
    try:
        chosen = all(_text(alsa, definition, key) in ANYWHERE for key in KEYS)
        return chosen and _text(alsa, definition, "type") in SERVERS
    finally:
        alsa.snd_config_delete(definition)


def _text(alsa: ctypes.CDLL, definition: c_void_p, key: str) -> str:
    node, text = c_void_p(), c_char_p()
    found = alsa.snd_config_search(definition, key.encode(), byref(node)) >= 0
    if not found or alsa.snd_config_get_string(node, byref(text)) < 0:
        return ""
    return (text.value or b"").decode()
