"""The stage `data`: load, check and split the dataset."""

import dataclasses
from pathlib import Path

from sidkit.data import DATASETS, statistics
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import source_files

__all__ = ["data_stage"]


def data_stage(context: Context) -> Stage:
    """Describe the stage; it writes nothing, since the dataset stays where it is."""

    def work(task: Task) -> Outcome:
        source, split = context.source, context.split
        return Outcome(
            facts={
                "source": source if source in DATASETS else str(Path(source).resolve()),
                **dataclasses.asdict(statistics(context.dataset)),
                "train_events": len(split.train.values),
                "validation_users": len(split.validation),
                "test_users": len(split.test),
                "skipped": split.skipped,
                "unseen_test_targets": split.unseen_test_targets,
                "cold_items": int(split.cold_items.sum()),
            }
        )

    return Stage("data", context.settings("data"), (), work, lambda: source_files(context.source))
