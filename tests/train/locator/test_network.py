import keras
import numpy as np

from cxr_edge_train.locator.network import build_locator


def test_locator_has_the_shapes_of_its_contract_and_few_weights() -> None:
    model = build_locator(None)
    mask = model.predict_on_batch({"image": np.zeros((2, 128, 128, 1), np.float32)})["mask"]
    assert mask.shape == (2, 32, 32, 1)
    assert model.count_params() < 450_000
    assert isinstance(model, keras.Model)
