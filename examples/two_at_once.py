"""Speak two texts at the same time with one loaded engine: in two voices, if it has them, into two files."""

import tts_cli

with tts_cli.load("builtin") as tts:
    voices = tts.voices()
    running = [
        tts.start("This is the first of two.", voice=voices[0], output="first.wav"),
        tts.start("And this is the second, slower.", voice=voices[-1], speed=0.8, output="second.wav"),
    ]
    for utterance in running:
        utterance.result()
print("both are written")
