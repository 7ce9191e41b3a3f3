import random
import signal
import subprocess
import sys
from pathlib import Path

from sidkit.serve.live.journal import Journal

WRITER = Path(__file__).parent / "writer_process.py"


def test_acknowledged_records_survive_kills(tmp_path):
    random_generator, acknowledged = random.Random(3), -1
    for _ in range(3):
        command = [sys.executable, WRITER, tmp_path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(random_generator.randint(20, 200)):
                acknowledged = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:  # what was acknowledged while the signal was under way
                if line.endswith("\n"):
                    acknowledged = int(line)
        journal = Journal(tmp_path)
        records = journal.read()
        journal.close()
        assert len(records) > acknowledged
        for number, record in enumerate(records):
            assert record == b"%d " % number + b"x" * (number * 7919 % 4000)
