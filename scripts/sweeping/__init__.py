"""Parts of `scripts/sweep.py`."""
