"""Files of a trained recommender in the run directory."""

from sidkit.run.stages.train import _move


def write(directory, *names):
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def test_files_of_a_training_replace_those_of_the_former_one(tmp_path):
    run, made = tmp_path / "run", tmp_path / "made"
    write(run / "models/rq", "model.json", "graph/old.json", "other/deep/x")
    write(made, "model.json", "model.safetensors", "graph/model.json")
    expected = ["models/rq/graph/model.json", "models/rq/model.json", "models/rq/model.safetensors"]
    assert _move(made, run, "models/rq") == expected
    found = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    assert found == expected
    assert not (run / "models/rq/other").exists()
    assert (run / "models/rq/graph/model.json").read_text() == "graph/model.json"
