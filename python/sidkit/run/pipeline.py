"""The pipeline: the stages that a configuration asks for, and their execution."""

import os
from pathlib import Path

from sidkit._arguments import checked
from sidkit._processes import leads
from sidkit._progress import silent
from sidkit.errors import ConfigError
from sidkit.run.assistants import assist, helped
from sidkit.run.config import RunConfig, write_config
from sidkit.run.directory import RunDirectory
from sidkit.run.engine import Observer, Quiet, Stage, Task, check_settings, execute
from sidkit.run.stages.collaborative import learn_embeddings
from sidkit.run.stages.context import Context
from sidkit.run.stages.data import data_stage
from sidkit.run.stages.decode import decode_stage
from sidkit.run.stages.embed import embed_stage
from sidkit.run.stages.evaluate import evaluate_stage
from sidkit.run.stages.ids import ids_stage
from sidkit.run.stages.report import report_stage
from sidkit.run.stages.tokenize import tokenize_stage
from sidkit.run.stages.train import fit_recommender, train_stage

__all__ = ["STAGES", "plan", "run_pipeline"]

STAGES = ("data", "embed", "tokenize", "ids", "train", "decode", "evaluate", "report")
_SID_STAGES = ("embed", "tokenize", "ids")


@checked
def run_pipeline(
    config: RunConfig,
    path: str | os.PathLike[str],
    *,
    until: str = "report",
    force: bool = False,
    observer: Observer | None = None,
) -> RunDirectory:
    """Bring a run directory up to date with a configuration.

    A stage whose settings and inputs have not changed is not run again, and an interrupted training resumes
    from its last checkpoint. Stages pass their results on as files of the directory.

    Among processes that `torchrun` started, the first runs the stages, and the others share its trainings.

    Args:
        config: all settings; written to `run.toml` in the directory.
        path: the run directory; created if missing.
        until: the last stage to run, one of `STAGES`.
        force: run a finished stage again if its settings or inputs have changed, instead of raising an error.
        observer: notified of every stage, see `Observer`.

    Returns:
        The run directory; its `records` state what every stage made, its time and its memory.

    Raises:
        RunDirectoryError: if the directory was made with other settings and `force` is not given, if another
            process writes to it, or if it is not a run.
        ConfigError: if `until` is not a stage.
        SidkitError: raised by a stage; results of earlier stages stay. A new directory without any result is
            removed.

    Example:
        >>> directory = run_pipeline(build_config(preset="demo"), "runs/ml-100k")  # doctest: +SKIP
        >>> list(directory.records)  # doctest: +SKIP
        ['data', 'embed', 'tokenize', 'ids', 'train.popularity', 'train.sasrec', ...
    """
    if until not in STAGES:
        raise ConfigError(f"there is no stage `{until}`; the stages are {', '.join(STAGES)}")
    if not leads():
        assist(lambda name, workspace, fingerprint: _share(config, Path(path), name, workspace, fingerprint))
        return RunDirectory(path)
    with RunDirectory(path) as directory, helped():
        stages = plan(Context(config, directory), until)
        if not force:
            check_settings(stages, directory)
        write_config(config, directory.config_path)
        execute(stages, directory, observer or Quiet(), force=force)
    return directory


def plan(context: Context, until: str = "report") -> list[Stage]:
    """List the stages that a configuration asks for, in order, up to and including `until`."""
    use = context.config.recommenders.use
    trainings = [train_stage(context, name) for name in use]
    needed = {stage for training in trainings for stage in training.inputs}
    stages = [data_stage(context)]
    if "ids" in needed or until in _SID_STAGES:
        stages += [embed_stage(context), tokenize_stage(context), ids_stage(context)]
    elif "embed" in needed:
        stages.append(embed_stage(context))
    stages += trainings
    stages += [decode_stage(context, name) for name in use]
    stages += [evaluate_stage(context), report_stage(context)]
    last = STAGES.index(until)
    return [stage for stage in stages if STAGES.index(stage.name.partition(".")[0]) <= last]


def _share(config: RunConfig, path: Path, name: str, workspace: Path, fingerprint: str) -> None:
    """Take this process's share of a training that the first process has begun."""
    context = Context(config, RunDirectory(path))
    task = Task(fingerprint, silent, lambda: workspace)
    if name == "tokenize":
        learn_embeddings(context, task)
    else:
        fit_recommender(context, name, task)
