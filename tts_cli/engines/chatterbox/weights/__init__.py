"""Weights: where they are on this machine, how they are downloaded, and how tensors are read from them.

`models` lists the published models. `locate` finds their weights, and `download` fetches them into the Hugging Face
cache with `transfer`; if that fails, `hub_errors` says what to do. These modules do not import torch. `config` has the
sizes of a model and the vocabularies. `mapping` maps safetensors files into memory, and `tensors` checks their tensors
and loads modules. Modules outside use all of these but `transfer` and `hub_errors`.
"""
