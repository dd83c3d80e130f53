"""Proof: measures how close precisions and strategies are to fp32 decoded whole, and runs upstream for comparison.

`fidelity` measures, with `maps`, and `verdict` grades the numbers: both for `tts bench --fidelity`. `upstream` runs
upstream's code in a process of its own, and `baselines` makes engines of it, for `tts bench --compare`. `context_sizes`
is an experiment. Speaking imports none of these. Modules outside use `measure`, `verdict`, `opened` and
`context_distances`.
"""
