"""What torch keeps for each shape that it has computed with."""

import subprocess
import sys

import pytest

from tests.harness import PATIENCE, clean_environment

COMPUTE = """
import ctypes, gc, tts_cli.engines.chatterbox, torch

class Mallinfo(ctypes.Structure):
    names = "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo
torch.set_num_threads(1)
convolution = torch.nn.Conv1d(16, 16, 3, padding=1)

@torch.inference_mode()
def allocated_after(lengths):
    for length in lengths:
        convolution(torch.zeros(1, 16, length))
    gc.collect()
    info = mallinfo2()
    return info.uordblks + info.hblkhd

before = allocated_after(range(2000, 2600))
print(allocated_after(range(2600, 2800)) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_sound_of_ever_other_lengths_takes_no_ever_growing_memory() -> None:
    """By default, each shape takes 50 kB, until there are 1024 in two caches."""
    command = [sys.executable, "-c", COMPUTE]
    done = subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert int(done.stdout) < 200 * 5000
