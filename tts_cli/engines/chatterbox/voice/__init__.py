"""Voices: a recording goes in, conditionals come out, and are kept in files.

`recording` reads sound, `cloning` makes a voice of it, `store` knows the files of all voices, `conditionals` reads
and writes upstream's format, `past` is what the flow keeps of a voice, and `loaded` holds the voices that an engine
has in memory. `store` needs no torch: the command line lists voices with it.
"""
