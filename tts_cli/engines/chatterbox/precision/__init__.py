"""In which numbers the models compute.

`choice` says what a device can do. `quantised_layers` holds the layers of each precision, `conversion` puts them in the
place of float32 ones, and `smoothing` calibrates int8. `weight_cache` and `tensor_cache` store what was made of the
weights. fp32 on the CPU is the reference: nothing here may change its bits.
"""
