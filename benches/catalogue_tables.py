"""Write the tables of the page on large catalogues from the records.

    python benches/catalogue_tables.py benches/record docs/guide/large-catalogues.md

A block `<!-- catalogue:SUBJECT -->` holds the table `stages`, `costs`, `predictions` or `scaling`.
"""

import json
import sys

from sidkit.report.tables.documents import run_update
from sidkit.report.tables.markdown import markdown_table

STAGES = {
    "generate": "write the synthetic catalogue",
    "load": "`load_dataset`",
    "split": "`Dataset.split`",
    "check": "`load_vectors(memory_map=True)`",
    "fit": "`RQKMeans.fit`, sample of 200,000",
    "encode": "`RQKMeans.encode`",
    "table": "`SidTable.from_codes`, `save`",
    "trie": "`SidTable.trie`",
    "train": "`RQTransformer.fit`, 30 steps",
    "recommend": "`recommend`, 50 beams",
    "evaluate": "metrics of 100,000 users",
}
UNITS = {"sample": "items", "asked": "users"}
#: Stages whose cost depends on the number of items or events.
GROWING = ("load", "split", "check", "encode", "table", "trie")
SIZES = {10**8: "10⁸", 10**9: "10⁹"}


def stages(record):
    """Seconds, rows per second and peak memory of every stage of the largest catalogue."""
    largest = record["figures"][-1]
    rows = [
        (
            STAGES[each["stage"]],
            f"{each['rows']:,} {UNITS.get(each['unit'], each['unit'])}",
            _seconds(each["seconds"]),
            f"{each['rows_per_second']:,.0f}",
            f"{each['peak_bytes'] / 1e9:.2f}",
        )
        for each in largest["stages"]
    ]
    return markdown_table(("stage", "rows", "CPU time", "rows per second", "peak GB"), rows)


def costs(record):
    """Processor time and memory per item of the stages whose cost grows, from the two largest catalogues."""
    rows = [
        (STAGES[stage], f"{1e6 * seconds:.2f} µs", f"{memory:.0f}")
        for stage, seconds, memory, _ in _slopes(record)
    ]
    return markdown_table(("stage", "CPU time per item", "bytes per item"), rows)


def predictions(record):
    """Linear extrapolation of these costs."""
    rows = [
        (
            STAGES[stage],
            *(_seconds(seconds * size) for size in SIZES),
            *(f"{(peak + memory * (size - record['figures'][-1]['items'])) / 1e9:,.0f} GB" for size in SIZES),
        )
        for stage, seconds, memory, peak in _slopes(record)
    ]
    heads = ("stage", *(f"CPU time, {size}" for size in SIZES.values()))
    return markdown_table((*heads, *(f"memory, {size}" for size in SIZES.values())), rows)


def scaling(record):
    """Training step, memory and decoding by the number of items."""
    rows = [
        (
            f"{each['items']:,}",
            f"{each['step_seconds']:.2f} s",
            f"{each['peak_bytes'] / 1e9:.2f} GB",
            f"{each['decode_users_per_second']:,.0f}",
            f"{each['parameters']:,}",
        )
        for each in record["figures"]
    ]
    return markdown_table(
        ("items", "training step", "peak memory", "users per second, beam 50", "parameters"), rows
    )


SUBJECTS = {
    "stages": (stages, "catalogue-stages.json"),
    "costs": (costs, "catalogue-stages.json"),
    "predictions": (predictions, "catalogue-stages.json"),
    "scaling": (scaling, "catalogue-scaling.json"),
}


def table(records, subject):
    """Write one table from its record."""
    write, name = SUBJECTS[subject]
    return write(json.loads((records / name).read_text()))


def _slopes(record):
    """Stage, seconds per item, bytes per item and peak bytes, from the two largest catalogues."""
    small, large = record["figures"][-2:]
    found = []
    for stage in GROWING:
        one, other = (
            next(each for each in figures["stages"] if each["stage"] == stage) for figures in (small, large)
        )
        memory = (other["peak_bytes"] - one["peak_bytes"]) / (large["items"] - small["items"])
        found.append((stage, other["seconds"] / large["items"], memory, other["peak_bytes"]))
    return found


def _seconds(seconds):
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    sys.exit(run_update({"catalogue": table}, None, prog="python benches/catalogue_tables.py"))
