"""The stage `ids`: a Semantic ID for every item, and the trie of all of them."""

from sidkit._core import Trie
from sidkit.errors import FormatError
from sidkit.ids import SidTable
from sidkit.run.drift import write_drift
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import INDEX, SIDS, TOKENIZER
from sidkit.run.stages.tokenize import tokenized_vectors
from sidkit.tokenizers import load_tokenizer

__all__ = ["ids_stage"]


def ids_stage(context: Context) -> Stage:
    """Describe the stage."""
    inputs = ("data", "tokenize")
    return Stage("ids", context.settings("ids"), inputs, lambda task: _work(context, task))


def _work(context: Context, task: Task) -> Outcome:
    path, ids = context.directory.path, context.config.ids
    tokenizer = load_tokenizer(path / TOKENIZER)
    vectors = tokenized_vectors(context)
    earlier = _earlier_table(context)
    table = tokenizer.semantic_ids(
        vectors, context.dataset.item_ids, collisions=ids.collisions, reassign=ids.reassign
    )
    outputs = [SIDS, INDEX]
    if earlier is not None:
        outputs += write_drift(path, earlier, table)
    table.save(path / SIDS)
    Trie.build(table).save(path / INDEX)
    return Outcome(outputs, {"sizes": list(table.sizes), "bits": table.layout.bits})


def _earlier_table(context: Context) -> SidTable | None:
    """The Semantic IDs about to be replaced, if the stage finished before and they can be read."""
    file = context.directory.path / SIDS
    if "ids" not in context.directory.records or not file.is_file():
        return None
    try:
        return SidTable.load(file)
    except FormatError:
        return None
