"""Time a row, peak memory and the worth of a second thread, from 10^3 to 10^7 rows.

`assign_codes` of float32 vectors of 32 dimensions to 3 x 256 codes:

    python benches/python/scaling.py --out benches/record/scaling.json

Every number of rows has a process of its own, so that its peak memory is its own. Input and output are made
and touched before; `extra` is how far resident memory rises above that during the calls. Takes minutes.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

DIM, LEVELS, CODES = 32, 3, 256
ROWS = [10**exponent for exponent in range(3, 8)]
#: Timed rows in all, so that small batches are repeated.
WORTH = 2_000_000


def resident(field):
    """A figure of this process's memory in bytes: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def measure(rows):
    import numpy as np

    from sidkit import Codebooks, assign_codes

    rng = np.random.default_rng(0)
    codebooks = Codebooks(rng.normal(size=(LEVELS, CODES, DIM)).astype(np.float32))
    x = rng.standard_normal((rows, DIM), dtype=np.float32)
    out = np.zeros((rows, LEVELS), np.uint16)
    sample = rng.integers(rows, size=50)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, seconds, codes = resident("VmRSS"), {}, {}
    for threads in (1, 2):
        assign_codes(x[:1000], codebooks, threads=threads)
        times = []
        for _ in range(max(3, WORTH // rows)):
            began = time.perf_counter()
            assign_codes(x, codebooks, out=out, threads=threads)
            times.append(time.perf_counter() - began)
        seconds[threads], codes[threads] = sorted(times)[len(times) // 2], out[sample]
    extra = resident("VmHWM") - before
    residual = x[sample].astype(np.float64).astype(np.float32)
    for level in range(LEVELS):
        words = codebooks[level]
        nearest = ((residual[:, None].astype(float) - words) ** 2).sum(2).argmin(1)
        assert all((codes[threads][:, level] == nearest).all() for threads in codes), "wrong codes"
        residual = residual - words[nearest]
    return {
        "rows": rows,
        "nanoseconds_a_row": {str(threads): 1e9 * value / rows for threads, value in seconds.items()},
        "speedup_of_two_threads": seconds[1] / seconds[2],
        "input_bytes": x.nbytes,
        "extra_bytes": extra,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    parser.add_argument("--most", type=int, default=ROWS[-1], help="the most rows")
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rows is not None:
        print(json.dumps(measure(arguments.rows)))
        return
    figures = []
    print("rows        ns a row, 1 thread   2 threads   speedup   extra MB")
    for rows in (rows for rows in ROWS if rows <= arguments.most):
        command = [sys.executable, __file__, "--rows", str(rows)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        one, two = found["nanoseconds_a_row"].values()
        extra = found["extra_bytes"] / 1e6
        print(f"{rows:<12,}{one:>18.0f}{two:>12.0f}{found['speedup_of_two_threads']:>10.2f}{extra:>11.1f}")
        figures.append(found)
    if arguments.out is not None:
        facts = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
        shape = {"dim": DIM, "levels": LEVELS, "codebook_size": CODES}
        arguments.out.write_text(json.dumps({**facts, **shape, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
