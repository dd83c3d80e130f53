"""Speak two texts at the same time, with one loaded engine, into two files."""

import tts_cli

with tts_cli.load("builtin") as tts:
    running = [
        tts.start("This is the first of two.", output="first.wav"),
        tts.start("And this is the second, slower.", output="second.wav", speed=0.8),
    ]
    for utterance in running:
        utterance.result()
print("both are written")
