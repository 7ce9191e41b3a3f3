from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1].parent / "shared" / "data"


def shared_folder(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the data set {name} is not beside the project, in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def beauty():
    """The folder of the Amazon 2014 Beauty 5-core set."""
    return shared_folder("beauty")
