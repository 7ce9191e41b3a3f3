import asyncio
import threading

import pytest

from sidkit.serve.http.problems import Overloaded, Problem
from sidkit.serve.http.queues import Batcher, WorkPool

OPTIONS = {"batch": 4, "capacity": 6, "delay": 1e9, "timeout": 60.0}


class Gate:
    """A model that answers only after it was opened, and remembers its batches."""

    def __init__(self):
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.batches = []

    def __call__(self, jobs):
        self.entered.set()
        self.opened.wait()
        self.batches.append(list(jobs))
        return [ValueError(job) if job < 0 else job * 10 for job in jobs]


async def entered(gate):
    await asyncio.get_running_loop().run_in_executor(None, gate.entered.wait)


def test_jobs_that_wait_are_answered_together():
    async def main():
        gate = Gate()
        batcher = Batcher(gate, **OPTIONS)
        first = asyncio.create_task(batcher.submit(1))
        await entered(gate)
        others = [asyncio.create_task(batcher.submit(job)) for job in (2, 3, -4, 5, 6)]
        await asyncio.sleep(0)
        assert batcher.waiting == 5
        gate.opened.set()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        batcher.close()
        assert [results[place] for place in (0, 1, 2, 4, 5)] == [10, 20, 30, 50, 60]
        assert isinstance(results[3], ValueError)
        assert gate.batches == [[1], [2, 3, -4, 5], [6]]

    asyncio.run(main())


def test_a_full_queue_refuses_and_says_when_to_come_again():
    async def main():
        gate = Gate()
        batcher = Batcher(gate, **OPTIONS)
        first = asyncio.create_task(batcher.submit(1))
        await entered(gate)
        waiting = [asyncio.create_task(batcher.submit(job, weight=3)) for job in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await batcher.submit(4)
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
        gate.opened.set()
        assert await asyncio.gather(first, *waiting) == [10, 20, 30]
        assert await batcher.submit(9, weight=100) == 90  # an empty queue takes any job
        batcher.close()

    asyncio.run(main())


def test_a_long_delay_refuses_once_a_batch_waits():
    async def main():
        gate = Gate()
        batcher = Batcher(gate, **(OPTIONS | {"delay": 0.0, "capacity": 100}))
        first = asyncio.create_task(batcher.submit(1))
        await entered(gate)
        waiting = [asyncio.create_task(batcher.submit(job)) for job in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await batcher.submit(5)
        gate.opened.set()
        await asyncio.gather(first, *waiting)
        batcher.close()

    asyncio.run(main())


def test_a_job_that_was_given_up_is_not_computed():
    async def main():
        gate = Gate()
        batcher = Batcher(gate, **(OPTIONS | {"timeout": 0.05}))
        first = asyncio.create_task(batcher.submit(1))
        await entered(gate)
        with pytest.raises(Problem, match="did not answer within"):
            await batcher.submit(2)
        gate.opened.set()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, batcher.close)
        assert gate.batches == [[1]]

    asyncio.run(main())


def test_closing_answers_what_waits():
    async def main():
        gate = Gate()
        batcher = Batcher(gate, **OPTIONS)
        tasks = [asyncio.create_task(batcher.submit(job)) for job in range(5)]
        await entered(gate)
        closing = asyncio.get_running_loop().run_in_executor(None, batcher.close)
        gate.opened.set()
        assert await asyncio.gather(*tasks) == [0, 10, 20, 30, 40]
        await closing
        with pytest.raises(Overloaded):
            await batcher.submit(1)

    asyncio.run(main())


def test_an_error_of_the_model_reaches_every_job():
    def fail(jobs):
        raise MemoryError

    async def main():
        batcher = Batcher(fail, **OPTIONS)
        with pytest.raises(MemoryError):
            await batcher.submit(1)
        batcher.close()

    asyncio.run(main())


def test_other_work_is_bounded_too():
    async def main():
        gate = threading.Event()
        pool = WorkPool(1, 2, 60.0)
        tasks = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pool.run(gate.wait)
        gate.set()
        assert await asyncio.gather(*tasks) == [True, True]
        assert await pool.run(len, "abc") == 3
        pool.close()

    asyncio.run(main())
