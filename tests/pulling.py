"""Weights on a hub of this machine, pulled by other processes: huggingface_hub reads its environment only once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tts_cli
from tests.hub import COMMIT, Hub, HubServer

REPO = "ResembleAI/chatterbox-turbo"
T3 = "t3_turbo_v1.safetensors"
BIG = bytes(range(256)) * 4000
SPOKEN = {
    T3: BIG,
    "s3gen_meanflow.safetensors": BIG[::-1],
    "vocab.json": b'{"a": 0}',
    "merges.txt": b"#version: 0.2\n",
}
FILES = {
    **SPOKEN,
    "ve.safetensors": b"voice encoder " * 100,
    "conds.pt": b"conditionals " * 100,
    "added_tokens.json": b"{}",
    "s3gen.safetensors": b"the flow of many steps",
    "README.md": b"# read me",
    "onnx/vocab.json": b"elsewhere",
}
WANTED = set(FILES) - {"s3gen.safetensors", "README.md", "onnx/vocab.json"}
PULL = """
import json, sys
from dataclasses import astuple
from pathlib import Path
from tts_cli.engines.chatterbox.weights.download import pull
from tts_cli.errors import TTSError
for line in sys.stdin:
    home, options = json.loads(line)
    states = []
    try:
        path = pull(report=states.append, cache=Path(home, "hub"), **options)
    except TTSError as error:
        answer = {"error": type(error).__name__, "message": error.message, "remedy": error.remedy}
    else:
        answer = {"path": str(path)}
    answer["heavy"] = sorted({"torch", "chatterbox", "hf_xet"} & set(sys.modules))
    print(json.dumps({**answer, "states": [astuple(state) for state in states]}), flush=True)
"""


UPSTREAM = """
import os, sys
from huggingface_hub import snapshot_download
patterns = ["*.safetensors", "*.json", "*.txt", "*.pt", "*.model"]
print(snapshot_download(sys.argv[1], token=os.getenv("HF_TOKEN") or None, allow_patterns=patterns))
"""


@dataclass
class Machine:
    """A home folder of its own, and processes that run there with `server` for their hub."""

    home: Path
    server: HubServer
    puller: subprocess.Popen[str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def hub(self) -> Hub:
        return self.server.hub

    @property
    def place(self) -> Path:
        return self.home / "hub" / "models--ResembleAI--chatterbox-turbo"

    @property
    def snapshot(self) -> Path:
        return self.place / "snapshots" / COMMIT

    def partials(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.place.glob("blobs/*.incomplete")}

    def run(self, code: str, *arguments: str, stdin: str = "") -> str:
        process = start(code, *arguments, **self.settings())
        out, err = process.communicate(stdin, timeout=60)
        assert process.returncode == 0, err
        assert err == ""
        return out

    def settings(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.server.url, "HF_HOME": str(self.home), **self.environment}

    def pull(self, **options: Any) -> dict[str, Any]:
        """What became of a pull, in a process of its own where this machine's environment is special."""
        line = json.dumps([str(self.home), options]) + "\n"
        if self.environment:
            out = self.run(PULL, stdin=line)
        else:
            assert self.puller.stdin is not None
            assert self.puller.stdout is not None
            self.puller.stdin.write(line)
            self.puller.stdin.flush()
            out = self.puller.stdout.readline()
        answer: dict[str, Any] = json.loads(out)
        assert answer["heavy"] == []
        return answer

    def error(self, kind: str, **options: Any) -> str:
        answer = self.pull(**options)
        assert answer.get("error") == kind, answer
        assert answer["remedy"]
        text = f"{answer['message']}; {answer['remedy']}"
        assert "\n" not in text
        return text


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TTS_"))}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**kept, "PYTHONPATH": str(Path(tts_cli.__file__).parents[1]), **environment},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
