"""The parts of `scripts/load.py`: servers and listeners, and whose fault a gap is."""
