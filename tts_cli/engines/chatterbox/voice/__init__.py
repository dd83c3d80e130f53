"""Voices: a recording comes in, and conditionals go out, which are stored in files.

`recording` reads sound, `cloning` makes a voice of it, and `store` manages the files of all voices. `conditionals`
reads and writes upstream's format and the prefix, and `past` the past of a voice. `loaded` holds the voices that an
engine has loaded. `archive` moves voices between machines, and `uploaded` makes voices of recordings that others have
sent. Modules outside use all of these but `recording`. `store` does not import torch, because the command line lists
voices with it.
"""
