from sidkit.evaluate import Metrics, Protocol
from sidkit.recommenders import SASRec
from sidkit.report.tables.recipes import recipes_table
from sidkit.report.tables.stored import StoredRun

DEFAULT = SASRec()


def run(model, seed, options, *, variant="", parameters=None, tokenizer=None, **machine):
    protocol = Protocol(candidates=10, users=5, seeds=(seed,), dataset="toys")
    metrics = Metrics(protocol, [], machine=machine, tokenizer=tokenizer or {})
    history = {} if parameters is None else {"parameters": parameters}
    return StoredRun("run", "toys", model, variant, seed, metrics, history, options)


def rows(*runs):
    return recipes_table(runs).splitlines()[2:]


def test_settings_that_differ_from_the_defaults_are_listed():
    options = {"method": "sasrec", "seed": 3, "device": "cuda", "d_model": 4096, "layers": DEFAULT.layers}
    peaks = {"train.sasrec": 2.5e9, "train.tiger": 9e9}
    assert rows(run("sasrec", 3, options, parameters=1234, peak_memory_bytes=peaks)) == [
        "| SASRec | – | `d_model` 4,096 | 1,234 | 2.5 GB |"
    ]


def test_default_settings():
    options = {"method": "sasrec", "d_model": DEFAULT.d_model, "dropout": DEFAULT.dropout}
    assert rows(run("sasrec", 0, options)) == ["| SASRec | – | none | – | – |"]


def test_seeds_share_a_row_and_differences_between_them_are_visible():
    found = rows(run("sasrec", 0, {"layers": 7}), run("sasrec", 1, {"layers": 8}))
    assert found == ["| SASRec | – | `layers` 7 or 8 | – | – |"]


def test_variants_and_named_models_use_the_defaults_of_their_method():
    named = run("large", 0, {"method": "sasrec", "d_model": 4096, "layers": DEFAULT.layers})
    variant = run("sasrec", 0, {"layers": 7}, variant="deep")
    assert rows(named, variant) == [
        "| large | – | `d_model` 4,096 | – | – |",
        "| SASRec, deep | – | `layers` 7 | – | – |",
    ]


def test_semantic_ids_and_runs_on_a_gpu():
    tokenizer = {"method": "rqkmeans", "levels": [{"codebook_size": 64}, {"codebook_size": 64}]}
    stored = run(
        "tiger",
        0,
        {"d_model": 4096},
        tokenizer=tokenizer,
        gpu="NVIDIA H200",
        peak_memory_bytes={"train.tiger": 1e9},
    )
    (row,) = rows(stored)
    assert row.startswith("| TIGER | rqkmeans, 2 × 64 | `d_model` 4,096 |") and row.endswith("| – |")


def test_runs_without_settings_are_omitted():
    assert rows(run("sasrec", 0, {})) == []
