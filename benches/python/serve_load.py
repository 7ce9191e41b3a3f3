r"""Load of the HTTP server on this machine, client and server on the same cores.

    python benches/python/serve_load.py MODEL --items items.parquet --tokenizer tokenizer.safetensors \
        --vectors vectors.npy --histories interactions.parquet --out benches/record/serve-load.json

Starts `sidkit serve` and measures:

    capacity   connections that each send their next request when the last is answered, 1 to 64 of them
    overload   requests at three times the capacity for a minute: answers, refusals, latency, memory
    changes    items added and removed during requests: time until they are visible, failed requests
    reload     the model opened again during requests: failed requests

An eighth of the answers is compared with those of the same requests on an idle server. The client is one
asyncio thread; it takes about as much processor time per request as a small server.
"""

import argparse
import asyncio
import json
import os
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

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
SECONDS = 5.0
REQUESTS = 512


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
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

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

    async def ask(self, connection, requests, number):
        place = number % len(requests)
        started = time.perf_counter()
        status, body = await connection.ask(requests[place])
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(time.perf_counter() - started)
            # Parsing every answer would cost more than the server's work.
            if self.right is not None and number % 8 == 0:
                self.wrong += items_of(body) != self.right[place]

    def summary(self, seconds):
        p50, p99 = np.quantile(self.seconds, [0.5, 0.99]) * 1000 if self.seconds else (None, None)
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


async def opened(server, requests, right, rate, seconds, connections=512):
    """Ask at a fixed rate; requests that find no free connection are counted as not sent."""
    free = [await connect(server.port) for _ in range(connections)]
    measured, tasks, late, memory = Measured(right), set(), 0, []
    started, number = time.perf_counter(), 0

    async def one(connection, number):
        await measured.ask(connection, requests, number)
        free.append(connection)

    while (now := time.perf_counter() - started) < seconds:
        while number < now * rate:
            if free:
                task = asyncio.create_task(one(free.pop(), number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                late += 1
            number += 1
        memory.append(server.resident)
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    return measured.summary(seconds) | {
        "offered_per_second": rate,
        "not_sent": late,
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
    done, visible, refused = asyncio.Event(), [], Counter()
    random = np.random.default_rng(1)

    async def change():
        connection = await connect(port)
        batches = [names[start : start + options.batch] for start in range(0, len(names), options.batch)]
        for batch in batches:
            rows = random.integers(0, len(vectors), len(batch))
            noise = random.normal(0, 0.05, (len(batch), vectors.shape[1]))
            x = (np.asarray(vectors[rows], np.float32) + noise).round(5)
            items = [{"item_id": name, "vector": row.tolist()} for name, row in zip(batch, x, strict=True)]
            started = time.perf_counter()
            status, body = await connection.ask(http("PUT", "/items", {"items": items}))
            refused[status] += 1
            seen, _ = await connection.ask(http("GET", f"/items/{batch[-1]}", {}))
            if status == 200:
                assert seen == 200, body
                visible.append(time.perf_counter() - started)
        for batch in batches:
            status, _ = await connection.ask(http("DELETE", "/items", {"item_ids": batch}))
            refused[status] += 1
        done.set()

    before = await closed(port, requests, 4, until=SECONDS)
    changer = asyncio.create_task(change())
    during = await closed(port, requests, 4, until=done)
    await changer
    return {
        "before": before,
        "during": during,
        "items": len(names),
        "batch": options.batch,
        "changes_by_status": {str(status): count for status, count in refused.items()},
        "visible_seconds": {"p50": float(np.median(visible)), "most": max(visible)} if visible else None,
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


async def measure(options, server):
    requests = requests_of(options)
    right = await expected(server.port, requests)
    capacity = {}
    for connections in CONNECTIONS:
        capacity[connections] = await closed(server.port, requests, connections, until=SECONDS, right=right)
        print(connections, capacity[connections], flush=True)
    most = max(found["requests_per_second"] for found in capacity.values())
    found = {"capacity": capacity}
    found["overload"] = await opened(server, requests, right, 3 * most, options.overload)
    print("overload", found["overload"], flush=True)
    if options.vectors and options.tokenizer:
        found["changes"] = await changing(server.port, requests, options)
        print("changes", found["changes"], flush=True)
    found["reload"] = await reloading(server.port, requests)
    print("reload", found["reload"], flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    for name in ("items", "tokenizer", "vectors", "histories", "out"):
        parser.add_argument(f"--{name}", type=Path, required=name in ("items", "histories"))
    parser.add_argument("--changed", type=int, default=2000, help="items added and removed")
    parser.add_argument("--batch", type=int, default=100, help="items of one change")
    parser.add_argument("--overload", type=float, default=60.0, help="seconds of overload")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        server = Server(options, f"--state={state}", "--max-delay=0.05")
        try:
            found = asyncio.run(measure(options, server))
        finally:
            server.stop()
    facts = {"machine": machine_facts(), "versions": version_facts(), "model": options.model.name}
    facts["note"] = "client and server on the same cores"
    if options.out:
        options.out.write_text(json.dumps(facts | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
