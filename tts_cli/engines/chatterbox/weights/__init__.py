"""Weights: where they are on this machine, how they get here, and how tensors are read from them.

`locate` and `download` know the Hugging Face cache and need no torch; `transfer` fetches one file; `config` holds the
sizes of a model; `tensors` maps safetensors files and checks what is in them.
"""
