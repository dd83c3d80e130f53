"""With `pip install .` alone, without any extra, every command works or says in one line what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.harness import PATIENCE, ROOT

EXTRAS = (
    *("torch", "torchaudio", "safetensors", "tokenizers", "transformers", "huggingface_hub", "chatterbox", "perth"),
    *("av", "pyloudnorm", "filelock", "fastapi", "starlette", "uvicorn", "websockets", "multipart"),
    *("prometheus_client", "httpx", "httpx_sse", "matplotlib", "ray"),
)
"""Modules that no package of the base installation brings."""
COMMANDS = (
    *("speak Hello. -o x.wav", "speak Hello. -o x.wav --voice nobody", "speak Hello. --engine chatterbox"),
    *("speak Hello. --server http://127.0.0.1:9", "speak Hello. -o x.wav --keep-warm 1m", "engines", "config show"),
    *("voice list", "voice cache x.wav", "voice try nobody", "voice export nobody", "voice import x.zip"),
    *("voice record me", "voice remove nobody", "model list", "model pull turbo", "tune", "tune --json"),
    *("bench --runs 1 --warmup 0", "bench --fidelity", "bench --fidelity --engine chatterbox", "bench --plot x.png"),
    *("bench --engine chatterbox --compare upstream", "serve", "server status", "server stop", "client Hello."),
    *("doctor", "doctor --thorough"),
)
RUN = """
import contextlib, io, json, sys, traceback
names, commands = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(names))
import tts_cli.cli
found = {}
for command in commands:
    sys.argv = ["tts", *command.split()]
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        try:
            code = tts_cli.cli._code()
        except BaseException:
            code = traceback.format_exc()
    found[command] = code, told.getvalue()
print(json.dumps(found))
"""


def test_no_command_fails_without_saying_what_to_do(environment: dict[str, str], tmp_path: Path) -> None:
    request = json.dumps([EXTRAS, COMMANDS])
    result = subprocess.run(  # a forked process would have Chatterbox's modules, which import torch
        [sys.executable, "-c", RUN, request],
        cwd=tmp_path,
        env=environment | {"TTS_VOICES_DIR": str(tmp_path / "voices"), "PYTHONPATH": str(ROOT)},
        timeout=PATIENCE,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found) == list(COMMANDS)
    for command, (code, told) in found.items():
        assert code in (0, 2, 3), f"{command}: {code}"
        *_, last = told.strip().splitlines() or [""]
        assert code == 0 or command.startswith("doctor") or (last.startswith("tts: ") and "; " in last), (command, told)
    assert (tmp_path / "x.wav").is_file()
