from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("sidkit", deadline=None)
settings.load_profile("sidkit")

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
