"""Text: it is read, cleaned and split into sentences.

Text comes in from an argument, a file, a pipe, the keyboard or a Python iterable (`sources`, `caller_text`). Sentences
come out of a `sources.TextSource`, each as soon as it is complete. Modules outside use `caller_text`, `characters`,
`cuts`, `decoding`, `idle`, `markup`, `pace` and `sources`. The rest serves them.
"""

from __future__ import annotations

from tts_cli.text.splitting import SentenceSplitter, is_speakable, split

__all__ = ["SentenceSplitter", "is_speakable", "split"]
