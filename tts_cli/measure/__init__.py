"""Measuring: a text is spoken several times in a warm process, and the times of its chunks are drawn.

A session, options and a text come in. Rows of numbers (`bench`) and a picture (`timeline`) come out. What is measured
is defined in `tts_cli.metrics`, and how two sounds are compared in `tts_cli.distance`. Modules outside use `bench` and
`timeline`.
"""
