"""The command: its process, signals, and what is left after a kill."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import closing
from http.client import HTTPConnection

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]


class Server:
    """A running `sidkit serve`."""

    def __init__(self, shop, servers, *options, workers=1):
        servers.append(self)
        files = ["--items", shop / "items.parquet", "--tokenizer", shop / "tokenizer.safetensors"]
        command = [sys.executable, "-m", "sidkit", "serve", shop / "model", *files, "--port", "0", *options]
        command += ["--workers", workers]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        self.lines = []
        while sum(line["event"] == "ready" for line in self.lines) < workers:
            line = self.process.stderr.readline()
            assert line, self.lines
            self.lines.append(json.loads(line))
        (self.port,) = [line["port"] for line in self.lines if line["event"] == "listening"]

    def ask(self, method, path, body=None):
        """Send one request; returns the status and the answer."""
        with closing(HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def stop(self, number):
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        rest = self.process.stderr.read()
        self.lines += map(json.loads, rest.splitlines())
        return self.process.wait()


@pytest.fixture
def start(shop):
    """Function that starts a server; it is killed at the end."""
    servers = []

    def start(*options, **others):
        return Server(shop, servers, *options, **others)

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()
        server.process.stderr.close()


def test_a_kill_loses_nothing_and_sigterm_finishes_requests(shop, start, tmp_path):
    vector = np.load(shop / "vectors.npy")[0].tolist()
    server = start("--state", tmp_path)
    for number in range(5):
        body = {"items": [{"item_id": 500 + number, "vector": vector}]}
        assert server.ask("PUT", "/items", body)[0] == 200
    assert server.ask("DELETE", "/items", {"item_ids": [501]})[0] == 200
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL

    server = start("--state", tmp_path, workers=2)
    found = [server.ask("GET", f"/items/{500 + number}")[0] for number in range(5)]
    assert found == [200, 404, 200, 200, 200]
    for price in range(10):  # each process sees the changes of the other
        change = {"items": [{"item_id": 100, "values": {"price": float(price)}}]}
        assert server.ask("PUT", "/items", change)[0] == 200
        assert server.ask("GET", "/items/100")[1]["values"]["price"] == price
    statuses, asked = [], threading.Semaphore(0)

    def ask():
        while server.process.poll() is None:
            try:
                statuses.append(server.ask("POST", "/recommend", {"histories": [[100]]})[0])
            except ConnectionError:  # the socket is closed
                return
            finally:
                asked.release()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        asked.acquire()
    assert server.stop(signal.SIGTERM) == 0
    for thread in threads:
        thread.join()
    assert len(statuses) >= 10 and set(statuses) == {200}
    assert sum(line["event"] == "stopped" for line in server.lines) == 2


def test_workers_end_with_the_process_that_started_them(shop, start):
    server = start(workers=2)
    server.stop(signal.SIGKILL)  # reads what the workers write to their end
    assert sum(line["event"] == "stopped" for line in server.lines) == 2
    with pytest.raises(ConnectionRefusedError):
        server.ask("GET", "/healthz")
