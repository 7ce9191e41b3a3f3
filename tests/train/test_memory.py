"""Memory that a training frees goes back to the system."""

import subprocess
import sys

import pytest

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


# A new process begins with the peak of the process that started it, so what is taken must exceed that.
PEAK = """
from pathlib import Path
from sidkit.train.memory import peak_memory_bytes, release_free_memory

before = peak_memory_bytes()
resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
block = bytearray(b"x") * (before - resident + 200_000_000)
during = peak_memory_bytes()
del block
release_free_memory()
print(during - before, peak_memory_bytes() - during)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_grows_with_what_is_taken_and_never_falls():
    ran = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    grown, after = map(int, ran.stdout.split())
    assert 150e6 < grown < 300e6
    assert after >= 0
