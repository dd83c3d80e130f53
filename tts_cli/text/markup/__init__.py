"""Markup: the marks of Markdown are removed from text that arrives in pieces.

Text comes in without terminal escape sequences. Passages of the text that is spoken come out (`stage.Passage`).
Modules outside use `reading`, which chooses how to read a text, and the types in `stage` and `code`. The rest serves
them: `markdown` reads Markdown, and `light` reads text that may be Markdown.
"""
