"""In which numbers the models compute, and where.

`choice` says what a device can do, `placed` loads both models on a device that was seen to compute right,
`quantised_layers` replaces layers in place after loading, `weight_cache` and `tensor_cache` keep what was made of the
weights. fp32 on the CPU is the reference: nothing here may change its bits.
"""
