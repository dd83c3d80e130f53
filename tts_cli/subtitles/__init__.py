"""Subtitles: what is said when, written to a file while it is spoken.

Chunks come in, in the order in which they are delivered (`sink.SubtitledSink`). Cues go out, one for each sentence.
`speech_activity` finds where a segment sounds and where it pauses. `placing` places sentences and words in it.
`formats` writes cues, and `target` is the file or pipe that they are written to. `following` says which sentence and
word is heard. Modules outside use `following`, `sink` and `target`.
"""
