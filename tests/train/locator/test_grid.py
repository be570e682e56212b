import keras
import numpy as np

from cxr_edge_train.locator.grid import snap_kernels


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3, name="depthwise")]
    )
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            inner,  # as the backbone is a model in the model
            keras.layers.SeparableConv2D(5, 3, name="separable"),
            keras.layers.Conv2D(4, 2, name="plain"),
        ]
    )


def steps_of(kernel: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return kernel / (np.abs(kernel).max(axis=axes, keepdims=True) / 127)


def test_each_output_channel_has_127_steps_to_either_side() -> None:
    model = network()
    before = [weight.copy() for weight in model.get_weights()]
    snap_kernels(model)
    layers = {layer.name: layer for layer in model._flatten_layers()}
    for kernel, axes in (
        (layers["depthwise"].kernel, (0, 1, 3)),
        (layers["separable"].depthwise_kernel, (0, 1, 3)),
        (layers["separable"].pointwise_kernel, (0, 1, 2)),
        (layers["plain"].kernel, (0, 1, 2)),
    ):
        steps = steps_of(np.asarray(kernel), axes)
        assert np.abs(steps - np.round(steps)).max() < 1e-4
        assert np.abs(steps).max() > 126.9
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.abs(old - new).max() <= np.abs(old).max() / 127
    assert any(not np.array_equal(*pair) for pair in zip(before, model.get_weights()))


def test_channel_of_zeros_stays_and_snapping_again_changes_nothing() -> None:
    model = network()
    kernel = model.get_layer("plain").kernel
    kernel.assign(np.asarray(kernel) * np.array([0, 1, 1, 1]))
    snap_kernels(model)
    once = model.get_weights()
    assert not np.asarray(kernel)[..., 0].any()
    snap_kernels(model)
    for first, second in zip(once, model.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6)
