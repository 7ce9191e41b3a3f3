"""The stages `decode.<name>`: the recommendations of one model to every test user."""

from sidkit.evaluate import Predictions
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import model_path

__all__ = ["decode_stage", "list_name"]

#: Both settings of `exclude_seen`: first what is served, then what most of the literature measures.
SETTINGS = (True, False)


def decode_stage(context: Context, name: str) -> Stage:
    """Describe the decoding by one recommender: a list per scoring and setting of `exclude_seen`."""
    inputs = ("data", f"train.{name}")
    return Stage(
        f"decode.{name}", context.settings("decode"), inputs, lambda task: _work(context, name, task)
    )


def list_name(name: str, scoring: str, scorings: tuple[str, ...]) -> str:
    """Return the name of the lists of a scoring: the model's for the first, else `<model>-<scoring>`."""
    return name if scoring == scorings[0] else f"{name}-{scoring}"


def _work(context: Context, name: str, task: Task) -> Outcome:
    decode, test = context.config.decode, context.split.test
    settings = context.config.recommenders[name]
    recommender = settings.configures.load(context.directory.path / model_path(name))
    # The exact scoring is a reference for beam search, not a way to recommend.
    scorings = tuple(scoring for scoring in recommender.scorings if scoring != "exact")
    passes = [(scoring, excluded) for scoring in scorings for excluded in SETTINGS]
    total, outputs = len(passes) * len(test), []
    for number, (scoring, excluded) in enumerate(passes):
        before = number * len(test)
        items, scores = recommender._rank(
            test.histories,
            decode.k,
            users=test.users,
            exclude=test.histories if excluded else None,
            scoring=scoring,
            beam=decode.beam,
            batch_size=decode.batch_size,
            on_progress=lambda done, before=before: task.progress(before + done, total),
        )
        lists = Predictions(
            list_name(name, scoring, scorings), test.users, items, scores, test.targets, exclude_seen=excluded
        )
        output = f"predictions/{lists.file_name}"
        lists.save(
            context.directory.path / output,
            user_ids=context.dataset.user_ids,
            item_ids=context.dataset.item_ids,
        )
        outputs.append(output)
    return Outcome(outputs)
