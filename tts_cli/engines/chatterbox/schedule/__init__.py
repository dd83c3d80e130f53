"""Who computes what, and when: the stages of an utterance, their threads, and when a chunk is decoded.

Tokens go in, chunks of sound come out (`stages`). `due` decides when to decode, `threads` shares an engine's threads
among utterances and stages, `cores` counts what the machine grants. No arithmetic of the models is here.
"""
