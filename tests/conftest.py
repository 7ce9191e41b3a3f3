import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from tests.embed.tiny_model import write_tiny_model
from tests.run.world import QUICK, write_world

# How long an example takes says more about the machine than about the code.
settings.register_profile("sidkit", deadline=None)
settings.load_profile("sidkit")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell without job control
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The folder of a toy data set in which item k+1 follows item k."""
    return write_world(tmp_path_factory.mktemp("data") / "ring")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A sentence-transformers folder whose model reads letters."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def finished(world, tmp_path_factory):
    """A run directory in which every stage has finished; not to be written to."""
    from sidkit.run import build_config, run_pipeline

    assignments = [f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}", *QUICK]
    path = tmp_path_factory.mktemp("runs") / "ring"
    run_pipeline(build_config(assignments=assignments), path)
    return path


@pytest.fixture
def run(finished, tmp_path):
    """A finished run of one's own."""
    return Path(shutil.copytree(finished, tmp_path / "ring"))
