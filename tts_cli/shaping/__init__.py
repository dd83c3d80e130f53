"""Shaping: between the engine and the sink, sound becomes faster or slower, louder or quieter.

Chunks come in and go out (`shaper`). The stages take samples of one rate as they come: `stretch`, `levelling` and
`volume`. What they give does not depend on how the sound was cut into chunks. Modules outside use `shaper`, and for
playback `stretch` and `volume`.
"""
