"""Cases of unusual requests: calls of the Python API, and commands in this process or in one of their own."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from fuzzing import inputs
from fuzzing.bench import Bench, Done, Kind, Plan
from fuzzing.checks import PATIENCE, FaultError, check_file, check_left, heard, judge
from tts_cli.errors import TTSError

CAPS: Final = {"threads": 4, "runs": 1, "warmup": 1, "tokens": 40, "pause": 300}
"""The largest values that cases use, for options that allow more than there is time for."""
PASSED_OVER: Final = ("compare", "fidelity", "plot")
"""Options that take minutes."""
FILES: Final = (
    "a.wav",
    "b.flac",
    "c.mp3",
    "d.ogg",
    "text.txt",
    "folder",
    "none/e.wav",
    "-",
    "/dev/null",
    ".wav",
    "[/x].wav",
)
WORDS: Final = {
    "voice": ("heart", "default", "nobody"),
    "chunk": ("auto", "1", "10", "1000"),
    "engine": (
        "auto",
        "builtin",
        "chatterbox",
        "os:path",
        "tts_cli.engines.builtin.engine:BuiltinEngine",
        "no.such:thing",
    ),
    "output": FILES,
    "output_device": ("0", "pulse", "nothing"),
    "name": ("heart", "nobody", "v"),
    "revision": ("main", "../x", "refs/pr/1"),
}


def plan_api(rng: Random, bench: Bench) -> Plan:
    numbers = (-(2**63), -1, 0, 1, 10, 1000, 1001, 2**31, 2**64, 10**30)
    odd = inputs.text(rng, 20)
    values = {
        "chunk": rng.choice((*numbers, None)),
        "seed": rng.choice(numbers),
        "mode": rng.choice(("streaming", "simple", odd)),
        "voice": rng.choice((None, "heart", "default", odd)),
        "engine": rng.choice(("auto", bench.name, odd)),
        "output": rng.choice((None, *FILES[:4], "none/a.wav", _inner(odd), _inner(f"{odd[:5]}.wav"), "a" * 260)),
    }
    changed = {name: value for name, value in values.items() if rng.random() < 0.4}
    return Plan("api", inputs.text(rng, min(bench.longest(rng), 60)), {"engine": bench.name} | changed)


def run_api(plan: Plan, bench: Bench) -> Done:
    from tts_cli import speak, stream

    values = dict(plan.values)
    name = values.pop("output", None)
    if name is None:
        return Done(heard(stream(plan.text, **values)))
    folder = bench.folder / "out"
    folder.mkdir()
    try:
        sound = speak(plan.text, output=folder / name, **values).sound
    except TTSError:
        check_left(folder, [])
        raise
    check_file(folder / name)
    check_left(folder, [folder / name])
    return Done(sound)


def plan_command(rng: Random, bench: Bench) -> Plan:
    return _plan_arguments("command", rng, bench)


def plan_process(rng: Random, bench: Bench) -> Plan:
    return _plan_arguments("process", rng, bench)


def run_command(plan: Plan, bench: Bench) -> Done:
    from tts_cli.cli import app

    code: Any
    with _inside(plan, bench), _standard_streams(bench.folder, plan.text, plan.values["piped"]) as (out, err):
        try:
            code = app(plan.values["arguments"], standalone_mode=False, prog_name="tts")
        except TTSError as error:
            code = error.exit_code
        except SystemExit as error:
            code = error.code
        except Exception as error:
            if not hasattr(error, "format_message"):  # how the command line, too, knows Click's usage errors
                raise
            code = 2
    return Done(refused=judge(code or 0, out.read_bytes(), err.read_bytes()))


def run_process(plan: Plan, bench: Bench) -> Done:
    arguments = [each.encode(errors="surrogatepass").replace(b"\0", b"") for each in plan.values["arguments"]]
    command = [os.fsencode(sys.executable), b"-m", b"tts_cli", *arguments]
    with _inside(plan, bench):
        done = subprocess.run(command, input=plan.text, capture_output=True, timeout=PATIENCE, check=False)
    refused = judge(done.returncode, done.stdout, done.stderr)
    lines = done.stderr.decode(errors="replace").splitlines()
    report = plan.values["arguments"][0] == "doctor" and done.returncode == 3  # standard output says what is missing
    if refused and not report and not (lines and lines[-1].startswith("tts: ")):
        raise FaultError(f"{refused}, and stderr does not say why: {lines}")
    if controls := {each for each in "".join(lines) if each < " " or "\x7f" <= each < "\xa0"}:
        raise FaultError(f"control characters on stderr: {controls}")
    return Done(refused=refused)


def _inner(name: str) -> str:
    """`name` as that of a file in the folder of the case."""
    return name.replace("/", "_")


@contextmanager
def _inside(plan: Plan, bench: Bench) -> Iterator[None]:
    """Run in a folder with the files that the arguments may name."""
    here, before = bench.folder / "here", Path.cwd()
    (here / "folder").mkdir(parents=True)
    (here / "text.txt").write_bytes(plan.values["file"])
    os.chdir(here)
    try:
        yield
    finally:
        os.chdir(before)
    if parts := [*here.glob(".*.part")]:
        raise FaultError(f"half a file was left: {parts}")


@contextmanager
def _standard_streams(folder: Path, data: bytes, piped: bool) -> Iterator[tuple[Path, Path]]:
    """Let standard input deliver `data` from a pipe or a file, and write what is printed to two files."""
    out, err = folder / "stdout", folder / "stderr"
    if piped:
        reader, writer = os.pipe()
        os.write(writer, data[:60_000])  # a pipe holds about that much
        os.close(writer)
    else:
        (folder / "stdin").write_bytes(data)
        reader = os.open(folder / "stdin", os.O_RDONLY)
    own = os.dup(0)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        with (
            io.TextIOWrapper(out.open("wb"), "utf-8", "surrogateescape") as stdout,
            io.TextIOWrapper(err.open("wb"), "utf-8", "backslashreplace") as stderr,
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            yield out, err
    finally:
        os.dup2(own, 0)
        os.close(own)


def _plan_arguments(kind: str, rng: Random, bench: Bench) -> Plan:
    text = inputs.text(rng, min(bench.longest(rng), 120))
    values = {"arguments": _arguments(rng, text), "piped": rng.random() < 0.5, "file": inputs.encoded(rng, text)}
    return Plan(kind, inputs.encoded(rng, text), values)


def _arguments(rng: Random, text: str) -> list[str]:
    """A command and some of its options, as its function declares them."""
    commands = dict(_commands())
    del commands["serve",]  # it runs until a signal ends it; tests/server sends it random messages
    del commands["config", "edit"]  # it runs an editor
    del commands["client",]  # it connects to other machines
    path = rng.choices([*commands], [12 if each == ("speak",) else 1 for each in commands])[0]
    arguments, words = list(path), []
    for name, hint in get_type_hints(commands[path], include_extras=True).items():
        if not (info := getattr(hint, "__metadata__", (None,))[-1]):
            continue
        if isinstance(info, ArgumentInfo):
            if rng.random() < 0.6:
                words.append(text if name == "text" else _value(rng, name, hint.__origin__, info, text))
        elif rng.random() < 0.1 and name not in PASSED_OVER:
            long = f"--{name.rstrip('_').replace('_', '-')}"
            arguments.append(rng.choice([each for each in info.param_decls or () if each.startswith("-")] or [long]))
            if hint.__origin__ is not bool:
                arguments.append(_value(rng, name, hint.__origin__, info, text))
    if path == ("speak",) and rng.random() < 0.5:
        arguments += ["-o", rng.choice(FILES)]
    return [*arguments, *(["--"] if words and rng.random() < 0.5 else []), *words]


@functools.cache
def _commands() -> tuple[tuple[tuple[str, ...], Any], ...]:
    """The words of every command, and its function."""
    return tuple(_found_commands())


def _found_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    from typer.core import TyperGroup
    from typer.main import get_command

    from tts_cli.cli import app

    group = get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context("tts", [], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, TyperGroup):
                yield from (((name, each), part.callback) for each, part in command.commands.items())
            else:
                assert command is not None
                yield (name,), command.callback


def _value(rng: Random, name: str, kind: Any, info: Any, text: str) -> str:
    """A value for an option or argument. Most are valid."""
    kinds = [kind, *get_args(kind)]
    if rng.random() < 0.15:
        odd = rng.choice((text, inputs.odd_number(rng), ""))
        return _inner(odd) if Path in kinds or name == "output" else odd
    if literal := next((each for each in kinds if get_origin(each) is Literal), None):
        return str(rng.choice(get_args(literal)))
    if info.min is not None:
        high = min(CAPS.get(name, 10_000), 10_000 if info.max is None else info.max)
        return str(inputs.number(rng, info.min, high, whole=float not in kinds))
    if name in WORDS:
        return rng.choice(WORDS[name])
    return rng.choice(FILES) if Path in kinds else inputs.odd_number(rng)


KINDS: Final = {
    "api": Kind(1, plan_api, run_api),
    "command": Kind(2, plan_command, run_command),
    "process": Kind(1, plan_process, run_process),
}
