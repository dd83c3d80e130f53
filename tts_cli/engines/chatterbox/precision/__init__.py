"""Precision: the numbers in which the networks store and multiply their weights.

Loaded modules in float32 come in, and the same modules with quantised layers go out. `choice` says what a device can
compute, and `conversion` replaces layers by those of `quantised_layers`, which use the kernels in `kernels`.
`smoothing` calibrates int8. `weight_cache` stores quantised weights, with `tensor_cache`, which the package `voice`
uses, too. Modules outside use `choose`, `convert`, `install`, `quantised`, `cached_parts`, `Projection`, `Parts`, and
the functions of `smoothing` and `tensor_cache`.

In fp32 nothing is replaced, so its results are the reference for all others.
"""
