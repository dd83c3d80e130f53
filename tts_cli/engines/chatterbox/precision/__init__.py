"""Precision: the numbers in which the networks store and multiply their weights.

Loaded modules in float32 come in, and the same modules with quantised layers go out. `choice` says what a device can
compute, and `conversion` replaces layers by those of `quantised_layers`. These use the kernels in `kernels` and the
products in `int8_products`. `smoothing` calibrates int8. `weight_cache` stores quantised weights in files of
`tensor_cache`. Modules outside use all of these.

In fp32 nothing is replaced, so its results are the reference for all others.
"""
