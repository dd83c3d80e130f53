"""Weights: where they are on this machine, how they are downloaded, and how tensors are read from them.

`locate` finds weights, and `download` fetches them into the Hugging Face cache with `transfer`; they do not import
torch. `config` has the sizes of a model and the vocabularies. `tensors` maps safetensors files, checks them and loads
modules. Modules outside use all of these but `transfer`.
"""
