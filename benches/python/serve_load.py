r"""Load of the HTTP server on this machine, client and server on the same cores.

    python benches/python/serve_load.py MODEL --items items.parquet --tokenizer tokenizer.safetensors \
        --vectors vectors.npy --histories interactions.parquet --out benches/record/serve-load.json

Starts `sidkit serve` and measures:

    capacity   connections that each send their next request when the last is answered, 1 to 64 of them
    overload   three times the capacity for a minute: answers, refusals, latency, memory
    changes    items added and removed during requests, at half the rate of four connections: time until
               the next request sees them, failed requests, latency
    reload     the model opened again during requests: failed requests

Capacity and overload are the work of `wrk`, on one thread. For the overload, 512 connections pause between
their requests, at random, so that all of them together would send three times as many requests per second as
64 connections have answered; they do not heed `Retry-After`. During the overload, a client in Python sends a
request every 20 ms, on connections of its own, and compares the answers with those of the idle server; the
latencies and wrong answers of the overload are those that it sees. It measures changes and reload alone.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from sidkit._tables import read_parquet
from sidkit.data import Dataset
from sidkit.evaluate.machine import machine_facts, version_facts

PARTS = ("capacity", "overload", "changes", "reload")
CONNECTIONS = (1, 2, 4, 8, 12, 16, 32, 64)
SECONDS = 5.0
REQUESTS = 512
OVERLOAD = 512  # connections
TIMES = 3  # as much as the capacity
PAUSE = 0.02  # seconds between the requests of the client that compares answers

WRK = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local place = 0
request = function()
  place = place %% #bodies + 1
  return wrk.format("POST", "/recommend", {["Content-Type"] = "application/json"}, bodies[place])
end
done = function(summary, latency)
  io.write(string.format("figures %%d %%d %%d %%f %%f\\n", summary.requests, summary.duration,
    summary.errors.status, latency:percentile(50), latency:percentile(99)))
end
"""


PAUSES = """
delay = function() return math.random(0, %d) end
"""


class Connection(asyncio.Protocol):
    """A connection that is kept open and has one request under way."""

    def __init__(self):
        self.received, self.waiting, self.transport = b"", None, None

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        if self.waiting and not self.waiting.done():
            self.waiting.set_result((0, b""))

    def data_received(self, data):
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.received = body[length:]
        self.waiting.set_result((int(head[9:12]), body[:length]))

    async def ask(self, request):
        """Send a request; returns the status, 0 if the connection is lost, and the body."""
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiting


class Server:
    """`sidkit serve` in a process."""

    def __init__(self, options, *more):
        files = [
            f"--{name}={getattr(options, name)}" for name in ("items", "tokenizer") if getattr(options, name)
        ]
        command = [
            sys.executable,
            "-m",
            "sidkit",
            "serve",
            options.model,
            *files,
            "--port=0",
            "--no-access-log",
            *more,
        ]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            event = json.loads(line)
            self.port = event.get("port", getattr(self, "port", None))
            if event["event"] == "ready":
                break
        else:
            raise SystemExit("the server did not start")

    @property
    def resident(self):
        """Resident memory of the process, or of its workers, in bytes; what they share counts for each."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        pages = [int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in children]
        own = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return (own + sum(pages)) * os.sysconf("SC_PAGE_SIZE")

    def stop(self):
        self.process.terminate()
        self.process.communicate()


def http(method, path, body):
    content = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


def requests_of(options):
    histories = Dataset.from_frames(read_parquet(options.histories)).histories()
    picked = np.random.default_rng(0).permutation(len(histories))[:REQUESTS]
    return [
        http("POST", "/recommend", {"histories": [histories.ids(int(row))[-50:]], "k": 10}) for row in picked
    ]


async def connect(port):
    return (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port))[1]


def items_of(body):
    return [item["item_id"] for item in json.loads(body)["results"][0]["items"]]


async def expected(port, requests):
    connection = await connect(port)
    return [items_of((await connection.ask(request))[1]) for request in requests]


class Measured:
    """Statuses and latencies of requests."""

    def __init__(self, right=None):
        self.statuses, self.seconds, self.wrong, self.right = Counter(), [], 0, right

    async def ask(self, connection, requests, number, started=None):
        place = number % len(requests)
        started = started or time.perf_counter()
        status, body = await connection.ask(requests[place])
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(time.perf_counter() - started)
            if self.right is not None:
                self.wrong += items_of(body) != self.right[place]

    def summary(self, seconds):
        p50, p99 = (np.quantile(self.seconds, [0.5, 0.99]) * 1000).tolist() if self.seconds else (None, None)
        return {
            "requests_per_second": len(self.seconds) / seconds,
            "p50_ms": p50,
            "p99_ms": p99,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "wrong": self.wrong,
        }


async def closed(port, requests, connections, *, until, right=None):
    """Ask on some connections until a time or an event; returns what was measured."""
    measured, started = Measured(right), time.perf_counter()
    over = until.is_set if isinstance(until, asyncio.Event) else lambda: time.perf_counter() - started > until

    async def client(first):
        connection, number = await connect(port), first * 37
        while not over():
            await measured.ask(connection, requests, number)
            number += 1

    await asyncio.gather(*(client(first) for first in range(connections)))
    return measured.summary(time.perf_counter() - started)


async def steady(port, requests, rate, *, until):
    """Ask at random moments, so many times per second, until a time or an event; returns what was measured.

    A latency counts from the moment at which the request was to be sent.
    """
    measured, started, tasks, free = Measured(), time.perf_counter(), set(), []
    over = until.is_set if isinstance(until, asyncio.Event) else lambda: time.perf_counter() - started > until
    random, number, due = np.random.default_rng(2), 0, started

    async def one(number, due):
        connection = free.pop() if free else await connect(port)
        if connection.transport.is_closing():  # the server closes idle ones
            connection = await connect(port)
        await measured.ask(connection, requests, number, due)
        free.append(connection)

    while not over():
        due += random.exponential(1 / rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)
    return measured.summary(time.perf_counter() - started)


async def loaded(port, script, connections, seconds):
    """Let `wrk` ask on some connections; returns its figures, whose latencies include those of refusals."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", script, f"http://127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=subprocess.PIPE)
    printed = (await process.communicate())[0].decode()
    found = re.search(r"figures (\d+) (\d+) (\d+) (\S+) (\S+)", printed)
    assert found, printed
    requests, microseconds, refused, p50, p99 = map(float, found.groups())
    return {
        "requests_per_second": requests / microseconds * 1e6,
        "answers_per_second": (requests - refused) / microseconds * 1e6,
        "p50_ms": p50 / 1000,
        "p99_ms": p99 / 1000,
    }


async def watched(server, requests, right, load):
    """Compare answers during a load; returns the figures of the load and of the comparisons."""
    measured, number, memory, tasks = Measured(right), 0, [], set()
    free, started = [], time.perf_counter()

    async def one(number):
        connection = free.pop() if free else await connect(server.port)
        if not connection.transport.is_closing():  # the server closes idle ones
            await measured.ask(connection, requests, number)
            free.append(connection)

    load = asyncio.create_task(load)
    while not load.done():
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
        memory.append(server.resident)
        await asyncio.sleep(PAUSE)
    await asyncio.gather(*tasks)
    return await load | {
        "compared": measured.summary(time.perf_counter() - started),
        "resident_bytes": {"first": memory[0], "last": memory[-1], "most": max(memory)},
    }


async def changing(port, requests, options):
    """Add and remove items during requests."""
    vectors = np.load(options.vectors, mmap_mode="r")
    ids = read_parquet(options.items)["item_id"]
    names = (
        [int(ids.max()) + 1 + n for n in range(options.changed)]
        if ids.dtype.is_integer()
        else [f"new-{n}" for n in range(options.changed)]
    )
    done, visible, statuses = asyncio.Event(), [], Counter()
    random = np.random.default_rng(1)
    batches = [names[start : start + options.batch] for start in range(0, len(names), options.batch)]
    changes = []  # made before, since the clock of the requests is in this process

    def put(batch):
        rows = random.integers(0, len(vectors), len(batch))
        noise = random.normal(0, 0.05, (len(batch), vectors.shape[1]))
        x = (np.asarray(vectors[rows], np.float32) + noise).astype(np.float32).round(5)
        items = [{"item_id": name, "vector": row.tolist()} for name, row in zip(batch, x, strict=True)]
        return http("PUT", "/items", {"items": items})

    for batch in batches:
        changes.append((put(batch), http("GET", f"/items/{batch[-1]}", {}), 200))
    for batch in batches:
        remove = http("DELETE", "/items", {"item_ids": batch})
        changes.append((remove, http("GET", f"/items/{batch[-1]}", {}), 404))

    async def change():
        writing, reading = await connect(port), await connect(port)
        for request, look, expected in changes:
            started = time.perf_counter()
            status, body = await writing.ask(request)
            statuses[status] += 1
            assert status == 200, body
            seen, _ = await reading.ask(look)
            assert seen == expected, (seen, expected)
            visible.append(time.perf_counter() - started)
            await asyncio.sleep(options.pause)
        done.set()

    capacity = await closed(port, requests, 4, until=SECONDS)
    rate = capacity["requests_per_second"] * options.share
    before = await steady(port, requests, rate, until=2 * SECONDS)
    started = time.perf_counter()
    changer = asyncio.create_task(change())
    changer.add_done_callback(lambda _: done.set())
    during = await steady(port, requests, rate, until=done)
    seconds = time.perf_counter() - started
    await changer
    return {
        "four_connections": capacity,
        "before": before,
        "during": during,
        "catalogue": len(ids),
        "items": len(names),
        "batch": options.batch,
        "pause_seconds": options.pause,
        "seconds": seconds,
        "changes_by_status": {str(status): count for status, count in statuses.items()},
        "visible_seconds": {
            "p50": float(np.median(visible)),
            "p99": float(np.quantile(visible, 0.99)),
            "most": max(visible),
        },
    }


async def reloading(port, requests):
    """Open the model again three times during requests."""
    done = asyncio.Event()

    async def reload():
        connection = await connect(port)
        statuses = [(await connection.ask(http("POST", "/admin/reload", {})))[0] for _ in range(3)]
        done.set()
        return statuses

    task = asyncio.create_task(reload())
    during = await closed(port, requests, 4, until=done)
    return {"during": during, "reloads": await task}


async def measure(options, server, state):
    requests = requests_of(options)
    found = {}
    if "capacity" in options.parts or "overload" in options.parts:
        found |= await under_load(options, server, state, requests)
    if "changes" in options.parts and options.vectors and options.tokenizer:
        found["changes"] = await changing(server.port, requests, options)
        print("changes", found["changes"], flush=True)
    if "reload" in options.parts:
        found["reload"] = await reloading(server.port, requests)
        print("reload", found["reload"], flush=True)
    return found


async def under_load(options, server, state, requests):
    """Measure the capacity, and the overload, which is a multiple of it."""
    right = await expected(server.port, requests)
    script = state / "requests.lua"
    bodies = state / "requests.txt"
    bodies.write_bytes(b"".join(each.partition(b"\r\n\r\n")[2] + b"\n" for each in requests))
    script.write_text(WRK % bodies)
    capacity = {}
    for connections in CONNECTIONS:
        capacity[connections] = await loaded(server.port, script, connections, SECONDS)
        print(connections, capacity[connections], flush=True)
    if "overload" not in options.parts:
        return {"capacity": capacity}
    pause = 1000 * OVERLOAD / (TIMES * capacity[CONNECTIONS[-1]]["answers_per_second"])  # ms, mean
    script.write_text(WRK % bodies + PAUSES % round(2 * pause))
    load = loaded(server.port, script, OVERLOAD, options.overload)
    overload = await watched(server, requests, right, load)
    print("overload", overload, flush=True)
    return {"capacity": capacity, "overload": overload}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    for name in ("items", "tokenizer", "vectors", "histories", "out"):
        parser.add_argument(f"--{name}", type=Path, required=name in ("items", "histories"))
    parser.add_argument("--changed", type=int, default=2000, help="items added and removed")
    parser.add_argument("--batch", type=int, default=100, help="items of one change")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between changes")
    parser.add_argument(
        "--share", type=float, default=0.5, help="requests during changes, of four connections'"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--overload", type=float, default=60.0, help="seconds of overload")
    parser.add_argument("--workers", type=int, default=2, help="processes of the server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        server = Server(options, f"--state={state}", "--max-delay=0.05", f"--workers={options.workers}")
        try:
            found = asyncio.run(measure(options, server, Path(state)))
        finally:
            server.stop()
    facts = {"machine": machine_facts(), "versions": version_facts(), "model": options.model.name}
    facts["note"] = "client and server on the same cores"
    facts["workers"] = options.workers
    if options.out:
        options.out.write_text(json.dumps(facts | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
