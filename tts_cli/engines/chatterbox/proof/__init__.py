"""What our way of computing costs against a reference: fp32 decoded whole, and upstream's own code.

`fidelity` measures and `verdict` puts into words; `upstream` runs upstream's code in a process of its own,
`baselines` makes engines of it; `context_sizes` is an experiment. Speaking imports nothing of this.
"""
