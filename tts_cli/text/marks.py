"""The marks and words by which the end of a sentence is found."""

from __future__ import annotations

import re
from typing import Final

SOFT: Final = ".!?…‽⁇⁈⁉"  # end a sentence before white space
HARD: Final = "。！？｡؟۔।॥።។။"  # end it anywhere
EMOJI: Final = "\u2600-\u27bf\U0001f000-\U0001faff\u200d\ufe0f"
CLOSING: Final = rf"\"'”’»›)\]}}）」』】》〉〕〗〙〛］｝｣〞〟＂＇*_`{EMOJI}"
OPENING: Final = "\"'“‘«‹([{（「『【《〈〔〖〘〚［｛｢〝¿¡*_`"
CJK: Final = "々\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Kanji, hanzi and kana: scripts without spaces between words."""


ALNUM: Final = re.compile(r"[^\W_]")
OPEN_TAG: Final = re.compile(r"\[[A-Za-z _-]{0,31}\Z")
LIST_NUMBER: Final = re.compile(r"[\s\-*+•#>(]*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})")
LAST_WORD: Final = re.compile(r"[^\W_]+(?:\.[^\W_]+)*\Z")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Something that belongs to them always follows, so they never end a sentence.
TITLES: Final = _words(
    "Dr Mr Mrs Ms Mx Prof Rev St Ste Mt Gen Col Maj Capt Cmdr Lt Sgt Cpl Adm Sen Rep Gov Hon Pres Supt"
    " Messrs Mme Mlle Fr Hr dr mr mrs prof"
)
JOINING: Final = _words("e.g i.e vs cf viz ca approx resp incl excl z.b d.h u.a bzw p.ex")
# Abbreviations if a number follows, otherwise ordinary words.
BEFORE_NUMBER: Final = _words(
    "no nos nr p pp vol vols ch chap sec art fig figs eq par para ver v jan feb mar apr may jun jul aug"
    " sep sept oct nov dec tel ext"
)
# They end a sentence if a capital follows.
MAY_END: Final = _words(
    "etc inc ltd co corp bros jr sr esq al ave blvd rd dept est min max hrs lbs oz ft a.m p.m a.d b.c"
    " b.c.e c.e ph.d m.d temp avg b.a m.a b.sc m.sc d.d.s usw u.s.w a.k.a w.r.t n.b"
)
# Common first words of a sentence that are no surnames. After an initial, only they begin a new one (Plan B. Then …).
OPENERS: Final = _words(
    "a after all also although an and are as at because before both but by can could did do does each"
    " every few for from had has have he her here his how however i if in indeed instead is it its let"
    " many maybe meanwhile most my no nobody nor not nothing now of on once one or our perhaps please"
    " she should since so some still such than that the their then there therefore these they this those"
    " though thus to today tomorrow until was we were what when where whether which while who why will"
    " with would yes yesterday yet you your"
)
DAYS: Final = _words("monday tuesday wednesday thursday friday saturday sunday")
