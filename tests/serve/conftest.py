import shutil
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("torch")

from starlette.testclient import TestClient
from tests.serve.shop import write_shop

from sidkit.serve.http import ServerSettings, create_app
from sidkit.serve.source import ServerSource


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A saved model with its files; not to be written to."""
    return write_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def own_shop(shop, tmp_path):
    """A copy of the shop."""
    return Path(shutil.copytree(shop, tmp_path / "shop"))


def source_of(shop, **changes):
    """The files of a shop, as a server reads them."""
    files = {
        "model": shop / "model",
        "items": shop / "items.parquet",
        "tokenizer": shop / "tokenizer.safetensors",
        "histories": shop / "interactions.parquet",
    }
    return ServerSource(**(files | changes))


@pytest.fixture
def serve(shop):
    """Function that starts an application and returns its client."""
    running = []

    def start(of=shop, *, source=None, peers=None, **settings):
        options = {"source": source or source_of(of), "access_log": False, **settings}
        client = TestClient(create_app(ServerSettings(**options), peers=peers), raise_server_exceptions=False)
        client.__enter__()
        running.append(client)
        return client

    yield start
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture(scope="module")
def client(shop):
    """A client of an application that no test changes."""
    settings = ServerSettings(source=source_of(shop), access_log=False, store_events=True)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def model(shop):
    """The model of the shop, in this process."""
    from sidkit.recommenders import load_model

    return load_model(shop / "model")
