"""What measurements are valid for: this machine, these versions and these weights."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import torch

from tts_cli.cores import cores
from tts_cli.engines.chatterbox.weights.config import S3GEN_FILE, read_config
from tts_cli.engines.chatterbox.weights.tensors import fingerprint

PACKAGES: Final = ("tts-cli", "torch")
_CPUINFO: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """What computes."""

    cpu: str
    """The processor's name."""
    cores: int
    """Those that this process may use."""
    devices: dict[str, str]
    """The GPUs' names, by the names in `options.DEVICES`."""

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        devices = {}
        if torch.cuda.is_available():
            devices["cuda"] = torch.cuda.get_device_name()
        if torch.backends.mps.is_available():
            devices["mps"] = cpu_name()
        return cls(cpu_name(), cores(), devices)


@dataclass(frozen=True, slots=True)
class Identity:
    """What measurements are valid for. They are stale if any of it differs."""

    machine: Machine
    versions: dict[str, str]
    """Of this program and of torch."""
    weights: dict[str, str]
    """The fingerprints of T3 and S3Gen."""

    @classmethod
    def here(cls, folder: Path) -> Identity:
        """This machine with the weights in `folder`. Raises `ModelError` and `OSError` if they cannot be read."""
        files = read_config(folder).t3_file, S3GEN_FILE
        return cls(
            Machine.here(),
            {name: _version(name) for name in PACKAGES},
            {file: fingerprint(folder / file) for file in files},
        )


def name_of(machine: Machine, folder: Path) -> str:
    """The name of the file with the measurements of a machine and the weights in a folder.

    Versions and the content of the weights are no part of it, so that newer measurements replace stale ones.
    """
    known = json.dumps([asdict(machine), str(folder.resolve())], sort_keys=True)
    return f"tuning-{hashlib.sha256(known.encode()).hexdigest()[:12]}.json"


def cpu_name() -> str:
    """The name of the processor, such as `AMD EPYC`."""
    if sys.platform == "linux" and (found := _in_cpuinfo()):
        return found
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.strip():
            return done.stdout.strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a clone that is only imported
        return ""


def _in_cpuinfo() -> str:
    """The name that Linux has; empty on processors for which it has none."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""
