"""Memory that a training frees goes back to the system."""

import subprocess
import sys

import pytest

from sidkit.train.memory import peak_memory_bytes, release_free_memory

# Small blocks between which every second is freed leave a heap that is half empty.
PROGRAM = """
from pathlib import Path
from sidkit.train.memory import release_free_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytearray(60_000) for _ in range(4000)]
del blocks[::2]
before = resident()
release_free_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_free_is_given_back():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 50e6


def test_it_can_be_asked_at_any_time():
    release_free_memory()
    assert peak_memory_bytes() > 1e6
