import pytest
from tests.search.worlds import encode_tokens, encode_words


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    """Encode texts without a model."""
    monkeypatch.setattr("sidkit.search.encoder.embed_texts", encode_words)
    monkeypatch.setattr("sidkit.search.retrievers.dsi.token_vectors", encode_tokens)
