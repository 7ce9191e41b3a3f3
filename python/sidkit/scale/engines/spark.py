"""Engine of Spark: tasks of a Spark job."""

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sidkit._extras import require
from sidkit.errors import SidkitError
from sidkit.scale.engines.base import Engine, Result, Task

__all__ = ["SparkEngine"]


class SparkEngine(Engine):
    """Engine of Spark.

    Tasks are rows of a DataFrame with one partition each, which `mapInArrow` hands to the function. To use a
    function of batches in a Spark program of your own, pass its `map` to `mapInArrow` directly.

    Args:
        workers: number of cores of a session that is started here; None for all.
        address: master of Spark, such as `spark://head:7077`; None uses the active session, or starts one on
            this machine.
    """

    method = "spark"

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Apply `function` to every task; see `Engine.run`."""
        sql = require("pyspark.sql", extra="spark")
        active = sql.SparkSession.getActiveSession()
        session = active or self._started(sql.SparkSession.builder)
        try:
            rows = [(pickle.dumps(task),) for task in tasks]
            tasks_frame = session.createDataFrame(rows, "task binary").repartition(len(rows))
            results = tasks_frame.mapInArrow(_InArrow(function), "result binary")
            for row in results.toLocalIterator(prefetchPartitions=True):
                result = pickle.loads(bytes(row["result"]))
                if isinstance(result, SidkitError):
                    raise result
                yield result
        finally:
            if active is None:
                session.stop()

    def _started(self, builder: Any) -> Any:
        cores = "*" if self.workers is None else str(self.workers)
        builder = builder.master(self.address or f"local[{cores}]").appName("sidkit")
        if self.address is None:
            # By default, workers are those of the first `python3` of the path.
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        return builder.getOrCreate()


@dataclass(frozen=True)
class _InArrow:
    """Function for `mapInArrow` that applies another function to pickled tasks."""

    function: Callable[[Any], Any]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                yield pa.record_batch(
                    [pa.array([pickle.dumps(self._outcome(task))], pa.binary())], ["result"]
                )

    def _outcome(self, task: bytes) -> Any:
        try:
            return self.function(pickle.loads(task))
        except SidkitError as error:
            return error
