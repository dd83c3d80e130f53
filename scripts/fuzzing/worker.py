"""The process that runs cases, and one case."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import json
import os
import pprint
import time
import traceback
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzzing import files, requests, speech
from fuzzing.bench import Bench, Done, Kind, Plan
from fuzzing.checks import check_error, nothing_left
from tts_cli import load
from tts_cli.errors import TTSError
from tts_cli.memory import share_arenas

LONGEST: Final = 120
"""Seconds that one case may take, without those in which other work has the processor."""
LOOK: Final = 5
"""The memory of the process is measured after this many cases."""
SHRINKING: Final = 20
"""Seconds for making a text with a fault shorter."""


def kinds(engine: str) -> dict[str, Kind]:
    return speech.KINDS | requests.KINDS | files.KINDS | (files.CHATTERBOX_KINDS if engine == "chatterbox" else {})


def plan_of(bench: Bench, seed: int, number: int) -> Plan:
    """The case with the given number.

    Parameters
    ----------
    bench
        Has the engine.
    seed
        The seed of the run.
    number
        The number of the case.
    """
    known = kinds(bench.name)
    rng = Random(f"{seed}/{number}")
    return known[rng.choices([*known], [kind.weight for kind in known.values()])[0]].plan(rng, bench)


def carry_out(plan: Plan, bench: Bench) -> Done:
    """Run the case. Raises an error if it has a fault.

    Parameters
    ----------
    plan
        The case.
    bench
        What it needs.
    """
    bench.clear()
    with nothing_left():
        try:
            return kinds(bench.name)[plan.kind].run(plan, bench)
        except TTSError as error:
            check_error(error, intact=plan.kind not in files.CHATTERBOX_KINDS)
            return Done(refused=type(error).__name__)


def attempt(plan: Plan, bench: Bench) -> tuple[Done | None, str, str]:
    """The result; or None, where and how the case failed, and the traceback.

    Parameters
    ----------
    plan
        The case.
    bench
        What it needs.
    """
    try:
        return carry_out(plan, bench), "", ""
    except Exception as error:  # noqa: BLE001  any error is a fault
        frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return None, f"{type(error.__cause__ or error).__name__} at {where}", traceback.format_exc()


def shortened(plan: Plan, bench: Bench, signature: str) -> Plan:
    """The same case with the shortest text found that has the same fault at the same place.

    Parameters
    ----------
    plan
        A case with a fault.
    bench
        What it needs.
    signature
        The fault and its place, as `attempt` returns it.
    """
    until = time.monotonic() + SHRINKING
    step = len(plan.text) // 2
    while step and time.monotonic() < until:
        for start in range(0, len(plan.text), step):
            shorter = replace(plan, text=plan.text[:start] + plan.text[start + step :])
            if attempt(shorter, bench)[1] == signature:
                plan = shorter
                break
        else:
            step //= 2
    return plan


def work(bench: Bench, seed: int, first: int, until: float) -> None:
    """Run cases from `first` on, one at least, until the time is `until`.

    Standard output has a line before and after each case.

    Parameters
    ----------
    bench
        What the cases need.
    seed
        The seed of the run.
    first
        The number of the first case.
    until
        A time as `time.time` gives it.
    """
    share_arenas()  # as the command line does
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable()

    def tell(**what: Any) -> None:
        told.write(json.dumps(what) + "\n")

    load("builtin").close()  # a command may choose it, and what it imports stays, which is no growth
    importlib.import_module("tts_cli.engines.chatterbox.engine")  # the same, such as `tts voice import`
    seen: set[str] = set()
    number = first
    while True:
        plan = plan_of(bench, seed, number)
        tell(begin=number, kind=plan.kind)
        faulthandler.dump_traceback_later(LONGEST - 10)
        done, signature, trace = attempt(plan, bench)
        faulthandler.cancel_dump_traceback_later()
        if done is not None:
            tell(end=number, kind=plan.kind, seconds=done.seconds, refused=done.refused)
        else:
            short = plan
            if signature not in seen:
                tell(begin=number, kind=plan.kind)
                short = shortened(plan, bench, signature)
            seen.add(signature)
            tell(fault=number, kind=plan.kind, signature=signature, trace=trace, plan=pprint.pformat(short, width=110))
        if (number - first) % LOOK == 0:
            tell(memory=resident(), allocated=allocated())
        number += 1
        if time.time() >= until:
            return


class _Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def allocated() -> float:
    """What the C library has allocated, in megabytes: without Python's small objects, and without free blocks."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo
    info = mallinfo2()
    return float(info.uordblks + info.hblkhd) / 1e6


def resident() -> float:
    """The memory of this process in megabytes, without what the C library holds for reuse, which is released first."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
