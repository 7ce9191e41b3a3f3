import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from sidkit.data import Dataset
from sidkit.errors import FormatError, RunDirectoryError
from sidkit.ids import SidTable
from sidkit.report import page, read_run, write_page
from sidkit.tokenizers import RQKMeans

SECTIONS = [
    "Accuracy",
    "Recommendations",
    "Semantic IDs",
    "Items by prefix",
    "Training",
    "Data",
    "Provenance",
    "Glossary",
]
VOID = {"meta", "br", "hr"}


class Reader(HTMLParser):
    """Collects elements and texts, and checks that every element is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def headings(html):
    return re.findall(r"<h2 id=[^>]*>(.*?)</h2>", html)


def test_a_finished_run_has_every_section(finished, dataset):
    html = page(read_run(finished, dataset=dataset))
    assert headings(html) == SECTIONS
    reader = Reader(html)
    text = " ".join(reader.texts)
    for expected in (
        "TIGER",
        "SASRec",
        "Popularity",
        "NDCG@10",
        "12,345",
        "beam 20",
        "seen items excluded and included",
        "Seen items included:",
        "TIGER − SASRec",
        "<cpu>",
    ):
        assert expected in text


def test_no_text_of_the_catalogue_becomes_markup(finished, dataset):
    reader = Reader(page(read_run(finished, dataset=dataset)))
    names = {name for name, _ in reader.elements}
    assert names.isdisjoint({"script", "img", "i", "iframe", "link", "object", "base"})
    assert all(not key.startswith("on") for _, attributes in reader.elements for key in attributes)
    text = "".join(reader.texts)
    assert "<script>alert(1)</script>" in text
    assert "<i>shop</i>" in text
    assert not re.search("[\u0000-\u0009\u000b-\u001f\u202a-\u202e\u2066-\u2069]", text)


def test_the_page_makes_no_requests(finished, dataset):
    reader = Reader(page(read_run(finished, dataset=dataset)))
    policy = [meta["content"] for meta in reader.all("meta") if "http-equiv" in meta]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not [key for _, attributes in reader.elements for key in attributes if key == "src"]
    targets = {attributes.get("id") for _, attributes in reader.elements}
    links = [link["href"] for link in reader.all("a")]
    assert len(links) == len(SECTIONS) and all(link[1:] in targets for link in links)


def test_every_plot_is_described(finished, dataset):
    plots = Reader(page(read_run(finished, dataset=dataset))).all("svg")
    assert len(plots) >= 10
    for plot in plots:
        assert plot["role"] == "img" and len(plot["aria-label"]) > 20
        assert "nan" not in plot["aria-label"]


def test_equal_runs_give_equal_pages(finished, dataset):
    assert page(read_run(finished, dataset=dataset)) == page(read_run(finished, dataset=dataset))


def test_a_run_that_has_only_a_tokenizer(tokenizer_only, dataset):
    html = page(read_run(tokenizer_only, dataset=dataset))
    Reader(html)
    assert headings(html) == ["Semantic IDs", "Items by prefix", "Data", "Provenance", "Glossary"]


def test_a_run_whose_data_has_gone(finished):
    html = page(read_run(finished))
    Reader(html)
    assert headings(html) == ["Accuracy", "Semantic IDs", "Training", "Data", "Provenance", "Glossary"]
    assert "titles and histories are missing" in html and "nowhere" in html


def test_the_conclusion_compares_the_best_model_with_the_others(finished, dataset):
    run = read_run(finished, dataset=dataset)
    best = run.metrics.find("tiger", "ndcg@10")
    (said,) = re.findall(r'<p class="conclusion">(.*?)</p>', page(run))
    assert said.startswith(f"TIGER is the most accurate model, with NDCG@10 {best.value:.4f} (95 % interval")
    assert "above SASRec (" in said and said.endswith("times popularity.")


def test_both_settings_are_shown_and_the_served_one_first(finished, dataset):
    html = page(read_run(finished, dataset=dataset))
    excluded, included = html.index("Seen items excluded:"), html.index("Seen items included:")
    assert excluded < included
    metrics = read_run(finished, dataset=dataset).metrics
    for setting in (True, False):
        assert f"{metrics.find('tiger', 'ndcg@10', exclude_seen=setting).value:.4f}" in html


@pytest.mark.parametrize(
    "gone",
    ["sids.parquet", "metrics.json", "stages.json", "run.toml", "models", "predictions", "models/tiger"],
)
def test_any_part_may_be_missing(finished, dataset, gone):
    place = finished / gone
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    Reader(page(read_run(finished, dataset=dataset)))


def test_users_are_shown_with_their_next_item(finished, dataset):
    run = read_run(finished, dataset=dataset)
    reader = Reader(page(run))
    text = " ".join(reader.texts)
    assert text.count("history, latest first") == 4
    assert "next item, at rank" in text and "next item, not among the first 10" in text
    assert len(reader.all("ol")) == 3 * 4 and "seen items excluded, for four" in text
    assert len([1 for a in reader.all("li") if a.get("class") == "taken"]) >= 4
    assert run.table is not None
    first = dataset.item_ids[0]
    assert run.table[first] in "".join(reader.texts)


def test_the_file_is_written_to_the_run_directory(finished, dataset):
    path = write_page(finished, dataset=dataset)
    assert path == finished / "report.html"
    assert path.read_text().startswith('<!doctype html>\n<html lang="en">')
    other = write_page(finished, finished / "elsewhere.html", dataset=dataset)
    assert other.read_bytes() == path.read_bytes()


def test_recorded_figures_of_the_tokenizer_take_precedence(tokenizer_only, dataset):
    facts = {
        "method": "rqvae",
        "unique_rate": 0.875,
        "random_unique_rate": 0.5,
        "collisions": {"1": 30, "2": 3, "40": 1},
        "levels": [{"codebook_size": 4, "used": 3, "perplexity": 2.5, "mse": 0.125}],
    }
    (tokenizer_only / "stages.json").write_text(json.dumps({"stages": {"tokenize": {"facts": facts}}}))
    text = " ".join(Reader(page(read_run(tokenizer_only, dataset=dataset))).texts)
    for expected in ("RQ-VAE", "87.5%", "0.125", "50.0%", "8+", "largest collision has 40 items"):
        assert expected in text


def test_no_run(tmp_path):
    with pytest.raises(RunDirectoryError, match="no run directory at"):
        read_run(tmp_path / "nothing")
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("run.toml", "[data\n", "run.toml: not a TOML file (Expected"),
        ("stages.json", "{", "not a JSON file, or a truncated one"),
        ("stages.json", "[]", "expected a JSON object, got list"),
        ("stages.json", '{"stages": {"data": 3}}', "expected one object per stage"),
        ("metrics.json", "{}", "`protocol` must be an object"),
        (
            "models/tiger/history.json",
            '{"steps": [{"step": 1}]}',
            "`steps` must be a list of objects with numbers step, loss",
        ),
        (
            "models/tiger/history.json",
            '{"steps": [], "evaluations": [{"step": 1}]}',
            "`evaluations` must hold `metrics`",
        ),
    ],
)
def test_a_damaged_file_is_named(finished, dataset, name, text, message):
    (finished / name).write_text(text)
    with pytest.raises(FormatError) as caught:
        read_run(finished, dataset=dataset)
    assert message in str(caught.value) and name in str(caught.value)


def test_a_diverged_training_is_drawn_as_far_as_it_went(finished, dataset):
    file = finished / "models" / "tiger" / "history.json"
    history = json.loads(file.read_text())
    for step in history["steps"][10:]:
        step["loss"] = float("nan")
    file.write_text(json.dumps(history))
    html = page(read_run(finished, dataset=dataset))
    assert "TIGER: training loss" in html and not re.search(r"\bnan\b", html)


def test_damaged_figures_are_named(tokenizer_only, dataset):
    facts = {"levels": [{"codebook_size": 4, "used": "many"}]}
    (tokenizer_only / "stages.json").write_text(json.dumps({"stages": {"tokenize": {"facts": facts}}}))
    with pytest.raises(FormatError, match="the recorded figures of a tokenizer level are damaged"):
        page(read_run(tokenizer_only, dataset=dataset))


def test_vectors_and_tokenizer_show_similarity_under_prefixes(tokenizer_only, dataset):
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    tokenizer = RQKMeans(2, 4).fit(x)
    tokenizer.save(tokenizer_only / "tokenizer.safetensors")
    save_file({"embeddings": x}, tokenizer_only / "embeddings.safetensors")
    SidTable.from_codes(tokenizer.encode(x), dataset.item_ids, tokenizer.codebook_sizes).save(
        tokenizer_only / "sids.parquet"
    )
    labels = dataset.items.with_columns(genre=pl.Series(["<b>x</b>", "y"] * 20))
    run = read_run(tokenizer_only, dataset=Dataset("shop", labels, dataset.interactions))
    html = page(run)
    assert html == page(read_run(tokenizer_only, dataset=run.dataset))
    text = " ".join(Reader(html).texts)
    for expected in ("tokens shared", "mean cosine", "purity by chance", "Map of the vectors", ": <b>x</b>"):
        assert expected in text
    assert f"{run.inspection.neighbours.recall:.1%} are among the" in text

    save_file({"embeddings": x[:5]}, tokenizer_only / "embeddings.safetensors")
    with pytest.raises(FormatError, match=r"expected `embeddings`, float32 \(40, dim\)"):
        page(read_run(tokenizer_only, dataset=dataset))
