import signal
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import small_fit
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.backend import devices
from cxr_edge_train.fitting.fit import fit
from cxr_edge_train.recipe import Fit
from tiny_model import tiny_model

TWO = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def losses(folder: Path) -> list[list[float]]:
    return [[float(row["loss"]), float(row["val_loss"])] for row in small_fit.history(folder)]


def check_killed_fit(
    tmp_path: Path, whole: tuple[dict[str, str], str], killed: tuple[dict[str, str], str]
) -> None:
    """Fit without an interruption, and elsewhere with one, and compare what is learned.

    Each is what the environment holds, and what the program says of its devices.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with ThreadPoolExecutor() as pool:
        alone = pool.submit(small_fit.program, one, **whole[0])
        outcome = small_fit.program(two, small_fit.MOMENTS[0], 5, **killed[0])
        assert outcome.returncode == -signal.SIGKILL, outcome.stderr
        outcome = small_fit.program(two, **killed[0])
        assert outcome.stdout == f"{killed[1]}\n", outcome.stderr
        assert alone.result().stdout == f"{whole[1]}\n", alone.result().stderr
    np.testing.assert_allclose(losses(two), losses(one), rtol=2e-3)
    assert len(losses(one)) > 5


@pytest.mark.slow
def test_two_devices_learn_what_one_does_and_go_on_after_a_kill(tmp_path: Path) -> None:
    check_killed_fit(
        tmp_path,
        ({"KERAS_BACKEND": "jax"}, "jax cpu:0, float32"),
        (TWO, "jax cpu:0, cpu:1, float32"),
    )


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_goes_on_after_a_kill(tmp_path: Path) -> None:
    torch = {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}, "torch cpu:0, float32"
    check_killed_fit(tmp_path, torch, torch)


@pytest.mark.parametrize(
    ("kind", "index", "expected"),
    [("cpu", None, "cpu:0"), ("cuda", 0, "gpu:0"), ("mps", 0, "mps:0")],
)
def test_device_of_pytorch_is_where_keras_puts_a_tensor(
    monkeypatch: pytest.MonkeyPatch, kind: str, index: int | None, expected: str
) -> None:
    tensor = SimpleNamespace(device=SimpleNamespace(type=kind, index=index))
    monkeypatch.setattr(keras.ops, "zeros", lambda shape: tensor)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert devices.devices() == [expected]


def test_batch_that_cannot_be_dealt_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "devices", lambda: ["gpu:0", "gpu:1", "gpu:2"])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with (
        pytest.raises(InvalidRequest, match="a batch of 32 images cannot be divided among 3"),
        devices.computing(Fit()),
    ):
        pass


def test_odd_batch_of_a_small_set_is_refused_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "devices", lambda: ["cpu:0", "cpu:1"])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    pixels, labels = small_fit.films()
    with pytest.raises(InvalidRequest, match="a batch of 9 images cannot be divided among"):
        fit(
            tiny_model(),
            small_fit.RECIPE,
            (pixels[:9], labels[:9]),
            (pixels, labels),
            seed=0,
            output=tmp_path,
        )


@pytest.mark.parametrize(
    ("found", "precision", "policy"),
    [
        (["cpu:0"], "mixed", "float32"),
        (["gpu:0"], "mixed", "mixed_float16"),
        (["gpu:0"], "float32", "float32"),
        (["mps:0"], "mixed", "float32"),
    ],
)
def test_sixteen_bits_only_where_a_gpu_gains_by_it(
    monkeypatch: pytest.MonkeyPatch, found: list[str], precision: str, policy: str
) -> None:
    monkeypatch.setattr(devices, "devices", lambda: found)
    assert devices.policy(Fit(precision=precision)) == policy
    assert devices.description(Fit(precision=precision)) == f"{found[0]}, {policy}"


def test_global_state_of_keras_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "devices", lambda: ["gpu:0"])
    with pytest.raises(RuntimeError), devices.computing(Fit()):
        assert keras.config.dtype_policy().name == "mixed_float16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"
