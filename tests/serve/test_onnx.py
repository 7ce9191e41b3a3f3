import numpy as np
import pytest
from tests.worlds import small_recommender, small_world

from sidkit.cli import main
from sidkit.errors import ConfigError

pytest.importorskip("onnx")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import onnxruntime
import torch

QUICK = {"max_steps": 3, "min_steps": 1}


@pytest.fixture(scope="module", params=["rqtransformer", "gru4rec", "two layers"])
def fitted(request):
    layers = {"layers": 2} if request.param == "two layers" else {}
    method = "gru4rec" if request.param == "two layers" else request.param
    return small_world().fit(small_recommender(method, **QUICK, **layers), validation=None)


def test_onnxruntime_gives_the_vectors_of_torch(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "encoder.onnx")])
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    items = len(fitted.item_ids_)
    assert session.get_modelmeta().custom_metadata_map == {
        "method": fitted.method,
        "items": str(items),
        "max_items": str(fitted.network_.max_items),
    }
    random = np.random.default_rng(0)
    lengths = random.integers(1, 7, 40).astype(np.int32)
    histories = random.integers(0, items, (40, 6))
    histories[np.arange(6) >= lengths[:, None]] = items
    (hidden,) = session.run(["hidden"], {"history": histories, "lengths": lengths})
    for row, length in enumerate(lengths):
        own = torch.from_numpy(histories[row : row + 1, :length])
        with torch.inference_mode():
            found = fitted.network_.hidden(own)
        expected = found[0] if found.ndim == 2 else found[0, -1]
        np.testing.assert_allclose(hidden[row], expected.numpy(), atol=2e-5)


def test_other_encoders_are_refused(tmp_path):
    from sidkit.serve.onnx_encoder import export_encoder

    with pytest.raises(ConfigError, match="expected a fitted RQTransformer with backbone `gru`"):
        export_encoder(small_world().fit(small_recommender("popularity")), tmp_path / "x.onnx")
