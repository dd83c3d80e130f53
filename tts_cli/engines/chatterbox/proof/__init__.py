"""Proof: measures how close precisions and strategies are to fp32 decoded whole, and runs upstream for comparison.

For `tts bench --fidelity`, `fidelity` measures with `maps` and `pitch`, `verdict` grades the numbers, and `listening`
writes sounds to compare. For `tts bench --compare`, `upstream` runs upstream's code in a process of its own, and
`baselines` makes engines of it. `context_sizes` is an experiment. Speaking imports none of these. Modules outside use
`baselines`, `fidelity`, `listening` and `verdict`.
"""
