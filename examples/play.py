"""Play two texts with an engine that is loaded once."""

import tts_cli

with tts_cli.load("builtin") as tts:
    tts.speak("Hello, world.")
    tts.speak("This sentence costs no loading.")
