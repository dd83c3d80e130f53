"""Write a file, and say what it took."""

import tts_cli

measured = tts_cli.speak("Hello, world.", engine="builtin", output="hello.wav")
print(f"{measured.sound:.1f} s of sound, RTF {measured.rtf:.3f}")
