"""What a listener asks for, checked: fields of JSON objects become a voice, a text and options of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tts_cli.checks import instance
from tts_cli.engines.options import declared
from tts_cli.errors import UsageError
from tts_cli.session import Session
from tts_cli.text.caller_text import checked_text
from tts_cli.text.sources import ReadyText

TEXT_CHARACTERS: Final = 100_000
"""The longest text of one utterance: about two hours of speech."""
FIELDS_BYTES: Final = 1_000_000
"""The longest JSON object."""
ALIASES: Final = {"tokens_per_chunk": "chunk"}


class FieldError(UsageError):
    """A field of a request is wrong.

    Parameters
    ----------
    message, remedy
        As for `TTSError`.
    param
        The name of the field.
    """

    def __init__(self, message: str, remedy: str, param: str) -> None:
        super().__init__(message, remedy)
        self.param = param


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance that a listener asks for."""

    text: ReadyText | Iterable[str]
    voice: str | None
    options: Mapping[str, Any]


def fields_of(data: str | bytes) -> dict[str, Any]:
    """The fields of a JSON object. Raises `UsageError` if `data` is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError("this is not JSON", 'send an object such as {"text": "Hello."}') from error
    if not isinstance(found, dict):
        raise UsageError("this JSON is not an object", 'send an object such as {"text": "Hello."}')
    return found


def request_of(
    session: Session, text: object, voice: object, fields: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Request:
    """Check everything that can be checked before the request has its place.

    Parameters
    ----------
    session
        The loaded engine.
    text
        A whole text, or an iterable of pieces that the caller has checked.
    voice
        A name, or None for the session's voice.
    fields
        All other fields of the request: options by name.
    defaults
        Options that the server was started with.

    Returns
    -------
    Request
        What `Service.speaking` takes.

    Raises
    ------
    UsageError
        If a field is unknown, or has a value that is not allowed; if the text is too long or has no words.
    """
    instance("voice", voice, (str, type(None)), "a name")
    if isinstance(text, str) and len(text) > TEXT_CHARACTERS:
        raise too_long()
    options = {**defaults, **_options(session, fields)}
    session.options(options)
    assert voice is None or isinstance(voice, str)
    try:
        chosen = session.checked_voice(voice)
    except UsageError as error:
        raise FieldError(error.message, error.remedy, "voice") from error
    return Request(checked_text(text), chosen, options)  # type: ignore[arg-type]


def too_long() -> UsageError:
    """The error for a text that is too long."""
    return UsageError(f"the text is longer than {TEXT_CHARACTERS} characters", "send it in parts")


def _options(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    # Only declared options may pass: `Session.start` also has parameters that name files.
    offered = {
        name
        for name, known in declared(session.spec.options).items()
        if session.spec.has(name) and known.kind is not Path and not known.option.measuring
    }
    found = {ALIASES.get(name, name): value for name, value in fields.items()}
    for name in fields:
        if ALIASES.get(name, name) not in offered:
            shown = name if len(name) <= 40 else f"{name[:40]}…"
            here = f"the options here are: {', '.join(sorted(offered))}"
            raise FieldError(f"there is no field {shown!r}", here, shown)
    return found
