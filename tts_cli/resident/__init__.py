"""A process that stays: it holds a loaded engine, and later runs of `tts speak` compute their sound in it.

`place` says where it is found, `process` is what runs in it, and `serving` lends its engine there. In the process that
speaks, `engine` stands in for that engine, and `replay` speaks on when it dies; `wire` is what both send. `control`
finds such processes and ends them. Segments come in (`engine`), are sent to the process, and their chunks come back.
Modules outside use `control` and `engine`.
"""
