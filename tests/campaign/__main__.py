"""Command line of the campaign: topics in child processes, one after the other, with a record for each.

python -m tests.campaign --minutes 30 [topic ...]
make campaign MINUTES=30
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from collections import Counter

from tests.campaign.topics import ROOT, names, run

RECORDS = ROOT / "benches/record"


def main() -> int:
    """Run topics and write their records; 1 if a count that must be 0 is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.splitlines()[0])
    parser.add_argument("topics", nargs="*", metavar="topic", help="all if none is given")
    parser.add_argument("--minutes", type=float, default=30.0, help="time for all topics together")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first child process")
    parser.add_argument("--chunk", type=float, default=60.0, help="seconds of one child process")
    parser.add_argument("--no-record", action="store_true", help="do not write records")
    parser.add_argument("--child", nargs=3, metavar=("TOPIC", "SECONDS", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        topic, seconds, seed = arguments.child
        print(json.dumps(run(topic, float(seconds), int(seed))))
        return 0
    topics = arguments.topics or names()
    unknown = sorted(set(topics) - set(names()))
    if unknown:
        parser.error(f"unknown topics {unknown}: expected some of {names()}")
    failed = False
    for topic in topics:
        seconds = 60 * arguments.minutes / len(topics)
        counts = campaign(topic, seconds, arguments.seed, arguments.chunk)
        failed |= any(count for name, count in counts.items() if name.startswith("bad_"))
        if not arguments.no_record:
            record(topic, seconds, arguments.seed, counts)
    return int(failed)


def campaign(topic: str, seconds: float, seed: int, longest: float) -> Counter[str]:
    """Run one topic in child processes until the time is over, and add up its counts."""
    counts: Counter[str] = Counter({"bad_child_processes": 0})
    end = time.monotonic() + seconds
    first = True
    while first or time.monotonic() < end - 1:
        first = False
        chunk = max(1.0, min(longest, end - time.monotonic()))
        command = [sys.executable, "-m", "tests.campaign", "--child", topic, str(chunk), str(seed)]
        child = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if child.returncode:
            counts["bad_child_processes"] += 1
            print(f"{topic}, seed {seed}: exit {child.returncode}\n{child.stderr[-2000:]}", file=sys.stderr)
        else:
            print(child.stderr, file=sys.stderr, end="")
            add(counts, json.loads(child.stdout.splitlines()[-1]))
        left = max(0, end - time.monotonic())
        print(f"{topic}: {dict(counts)}, {left:.0f} s left", flush=True)
        seed += 1
    return counts


def add(counts: Counter[str], more: dict[str, int]) -> None:
    """Add counts; of those whose name begins with `latest`, the largest is kept."""
    for name, count in more.items():
        counts[name] = max(counts[name], count) if name.startswith("latest") else counts[name] + count


def record(topic: str, seconds: float, seed: int, counts: Counter[str]) -> None:
    """Write the record of a topic."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    entry = {
        "topic": topic,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "seconds": round(seconds),
        "first_seed": seed,
        "counts": dict(sorted(counts.items())),
    }
    RECORDS.mkdir(parents=True, exist_ok=True)
    path = RECORDS / f"campaign-{topic.replace('_', '-')}.json"
    path.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
