"""Time of `import sidkit` in a new process, NumPy included; the target is below 0.2 s."""

import subprocess
import sys

CODE = "import time; start = time.perf_counter(); import sidkit; print(time.perf_counter() - start)"


def test_import(benchmark):
    def imported():
        return float(subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True).stdout)

    benchmark.extra_info["least_seconds"] = min(imported() for _ in range(5))
    benchmark.pedantic(imported, rounds=5)
