"""Voices: a recording comes in, and conditionals go out, which are stored in files.

`recording` reads sound, `cloning` makes a voice of it, and `store` manages the files of all voices. `conditionals`
reads and writes upstream's format and the prefix, and `past` the past of a voice. `loaded` holds the voices that an
engine has loaded. Modules outside use `VoiceStore` and `name_from`, `cache_voice`, `Conditionals`, `prefix_of`,
`sample_of`, `past_of` and `LoadedVoices`. `store` does not import torch, because the command line lists voices with it.
"""
