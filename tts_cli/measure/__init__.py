"""Measuring: a text is spoken again and again in a warm process, and the arrival of its chunks is drawn.

A session and options go in; rows of numbers and a picture come out. What is measured is defined in `tts_cli.metrics`,
and how two sounds are compared in `tts_cli.distance`: change it there.
"""
