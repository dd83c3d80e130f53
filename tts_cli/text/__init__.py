"""Text: what of it is spoken, and where its sentences end."""

from __future__ import annotations

from tts_cli.text.splitting import SentenceSplitter, is_speakable, split

__all__ = ["SentenceSplitter", "is_speakable", "split"]
