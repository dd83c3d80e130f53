"""Random input for `fuzz.py`: texts, bytes, cuts, JSON and damaged files. Each depends on a `random.Random` only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from tts_cli.engines.chatterbox import TAGS

_ENGLISH: Final = """
a I the of and to in it is was he for on are as with his they at be this have from or one had by word but not what
harbour quiet first boats came gulls circled above the market children counted crates old man mended nets every morning
Dr. Mr. e.g. i.e. etc. No. vs. U.S. p.m. Ph.D. St. don't we're naïve café ﬁ Ⅷ ½ ¹ ² № ™ … — – ‽ ¿que? ¡sí! e\u0301
"""
_OTHERS: Final = """
Übung Ελλάδα Москва שלום مرحبا नमस्ते 你好。 日本語、「はい。」と 한국어. ไทย 👩\u200d👩\u200d👧 🇩🇪
"""
WORDS: Final[tuple[str, ...]] = (*_ENGLISH.split(), *_OTHERS.split())
MARKS: Final[tuple[str, ...]] = (*".!?,;:…。!?/\\()«»-—\"'", "?!", "...", ".[1]", ".”")
LINES: Final[tuple[str, ...]] = (
    "# ",
    "- ",
    "* ",
    "1. ",
    "> ",
    "Chapter One\n",
    "\n\n",
    "\r\n",
    "\n",
    "\t",
    "```",
    "|",
    "---\n",
    "\u2028",
)
ODD: Final[tuple[str, ...]] = (
    *("\x1b[31m", "\x1b]0;title\x07", "\x1b[2J", "\x9b1m", "\x07", "\x08", "\x7f", "\x00", "\x0b", "\x0c", "\x85"),
    *("\u200b", "\u200d", "\u00ad", "\u202e", "\u2066", "\ufeff", "\ufffe", "\uffff", "\ufe0f", "\u0300", "\U000e0041"),
    *("[/x]", "[bold]", "[laugh", "[[laugh]]", "<b>", "&amp;", "%s", "{0}", "$(x)", "`x`", "¹:30", "a ¹U b", "\u0130"),
)
ADDRESSES: Final[tuple[str, ...]] = (
    *("https://example.com/a.b?q=1.5&r=x", "http://[::1]:80/", "jane.doe@mail.example.org", "/etc/hosts.conf"),
    *("www.x", "ftp://" + "a" * 80, "C:\\dir\\file.txt", "127.0.0.1", "fe80::1%eth0", "#tag", "@me"),
)


def text(rng: Random, longest: int) -> str:
    """Make a text; most are much shorter than `longest`.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    longest
        The most characters.
    """
    limit = min(longest, 1 + int(rng.expovariate(1 / (longest / 4))))
    parts: list[str] = []
    while (room := limit - sum(map(len, parts))) > 0:
        parts.append(rng.choices(_PIECES, _WEIGHTS)[0](rng, room))
        parts.append(rng.choice((" ", " ", " ", "", "\n", ". ")))
    return _mutated("".join(parts), rng)[:limit]


def _word(rng: Random, _room: int) -> str:
    return rng.choice(WORDS)


def _sentence(rng: Random, room: int) -> str:
    words = rng.choices(WORDS, k=rng.randint(1, max(1, min(12, room // 5))))
    return " ".join(words) + rng.choice(MARKS)


def _number(rng: Random, room: int) -> str:
    digits = "".join(rng.choices("0123456789", k=rng.randint(1, min(rng.choice((3, 8, 60, 400)), room))))
    return rng.choice(
        (
            *(
                digits,
                f"-{digits}",
                f"${digits}.{digits[:2]}",
                f"{digits}%",
                f"{digits[:2]}:{digits[-2:]}",
                f"{digits}th",
            ),
            *(f"{digits[:4]}-{digits[-2:]}-30", f"v{'.'.join(digits[:6])}", f"{digits}e{digits[:3]}", f"0x{digits}"),
            *(
                f"{digits},{digits[:3]}",
                f"£{digits}m",
                f"{digits}°C",
                f"1/{digits}",
                f"+{digits}",
                f"{digits}/{digits}",
            ),
        )
    )


def _characters(rng: Random, room: int) -> str:
    """Of one plane of Unicode, or of Latin-1; in plane 0, halves of surrogate pairs are among them."""
    first, last = rng.choice(
        ((0, 0xFF), (0, 0xFFFF), (0x1_0000, 0x1_FFFF), (0x2_0000, 0x3_FFFF), (0xE_0000, 0x10_FFFF))
    )
    near = rng.randint(first, last)  # neighbours in a script belong together
    few = [rng.randint(first, last), *(min(0x10_FFFF, near + rng.randint(0, 60)) for _ in range(5))]
    return "".join(chr(each) for each in rng.choices(few, k=rng.randint(1, min(30, room))))


def _long(rng: Random, room: int) -> str:
    piece = rng.choice(("a", "aeiou", "W", "9", "-", "e\u0301", "漢", "\U0001f469\u200d", "A.", "_", "x'"))
    return piece * rng.randint(1, room)


def _run(rng: Random, room: int) -> str:
    return rng.choice(MARKS + ODD) * rng.randint(1, min(12, room))


def _tag(rng: Random, _room: int) -> str:
    tag = rng.choice(TAGS)
    return rng.choice((f"[{tag}]", f"[{tag.upper()}]", f"[{tag}", f"[{tag}].", f"[ {tag} ]", f"[{tag[:-1]}]"))


_PIECES: Final[Sequence[Callable[[Random, int], str]]] = (
    *(_word, _sentence, _number, _characters, _long, _run, _tag),
    *(lambda rng, _room, kind=kind: rng.choice(kind) for kind in (ODD, ADDRESSES, LINES)),
)
_WEIGHTS: Final = (6, 6, 4, 5, 1, 2, 2, 4, 2, 3)


def _mutated(value: str, rng: Random) -> str:
    for _ in range(rng.choice((0, 0, 1, 2, 8))):
        at, length = rng.randint(0, len(value)), rng.randint(0, 6)
        swap = rng.choice(
            ("", value[at : at + length] * 2, value[at : at + length].swapcase(), rng.choice(MARKS + ODD))
        )
        value = value[:at] + swap + value[at + length :]
    return value


def encoded(rng: Random, value: str) -> bytes:
    """`value` as bytes, which are UTF-8 in most cases, and whole in many of them.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    value
        The text.
    """
    encoding = rng.choices(("utf-8", "utf-8-sig", "utf-16", "latin-1"), (20, 2, 1, 1))[0]
    errors = rng.choice(("surrogatepass", "replace")) if encoding.startswith("utf") else "replace"
    data = value.encode(encoding, errors)
    return damaged(rng, data) if rng.random() < 0.15 else data


def cuts(rng: Random, value: Sequence[Any]) -> list[Any]:
    """Cut `value` into pieces: single characters, several characters, or all. Some pieces may be empty.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    value
        The text.
    """
    size = rng.choice((1, 3, 20, 200, len(value) + 1))
    pieces, at = [], 0
    while at < len(value):
        length = rng.randint(0 if rng.random() < 0.1 else 1, size)
        pieces.append(value[at : at + length])
        at += length
    return pieces


def damaged(rng: Random, data: bytes) -> bytes:
    """Damage `data`: change, double or leave out bytes, or cut off the end; mostly in headers, near the beginning.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    data
        The content of a file.
    """
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        reach = max(1, len(changed) if rng.random() < 0.4 else min(len(changed), 200))
        at, length = rng.randrange(reach), rng.choice((1, 1, 2, 4, 8, 64))
        how = rng.randrange(7)
        if how == 0:
            changed[at : at + 1] = bytes([changed[at] ^ (1 << rng.randrange(8))]) if at < len(changed) else b""
        elif how == 1:
            changed[at : at + length] = rng.randbytes(length)
        elif how == 2:
            changed[at : at + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
        elif how == 3:
            del changed[at : at + length]
        elif how == 4:
            changed[at:at] = changed[at : at + length] * rng.randint(1, 4)
        elif how == 5:
            changed[at : at + 4] = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data))).to_bytes(4, "little")
        else:
            del changed[at:]
    return bytes(changed)


def json_bytes(rng: Random, keys: Sequence[str]) -> bytes:
    """A JSON object with some of `keys` and any values, which may be damaged, or something else.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    keys
        Names that its reader knows.
    """
    if rng.random() < 0.1:
        return rng.choice(
            (
                b"",
                b"null",
                b"[]",
                b"[" * 100_000,
                b'{"a":' * 100_000,
                b"\xff\xfe{}",
                b"{}" * 9,
                b"9" * 5000,
                b'"\\ud800"',
            )
        )
    value = {key: _value(rng, 3) for key in rng.sample(keys, rng.randint(0, len(keys)))}
    data = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return damaged(rng, data) if data and rng.random() < 0.3 else data


def _value(rng: Random, depth: int) -> Any:
    leaf = rng.choice((None, True, -1, 0, 1.5, 10**400, float("nan"), float("inf"), text(rng, 60), "", "2026-01-01"))
    if depth and rng.random() < 0.2:
        return rng.choice(([_value(rng, depth - 1) for _ in range(3)], {text(rng, 9): _value(rng, depth - 1)}))
    return leaf


def number(rng: Random, low: float, high: float, whole: bool) -> float:
    """A number from `low` to `high`, often one of these, as a user could give it."""
    if rng.random() < 0.3:
        return rng.choice((low, high))
    return rng.randint(int(low), int(high)) if whole else rng.uniform(low, high)


def odd_number(rng: Random) -> str:
    """Text for an option that takes a number. Often it is not one.

    Parameters
    ----------
    rng
        What everything random is drawn from.
    """
    return rng.choice(
        (
            *(
                "-1",
                "0",
                "1",
                "007",
                "1e9",
                "1_000",
                "²",
                "٣",
                "nan",
                "inf",
                "-inf",
                "",
                " ",
                "9" * 5000,
                "0x10",
                "1.5",
            ),
            *("--", "-0", "1e-320", "1,5", "+1", str(2**31), str(2**63), str(-(2**63) - 1), "auto", "\x1b[1m", "[/x]"),
        )
    )
