import os
import subprocess
import sys

import pytest

WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name == "torch":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Missing())
"""


def load(backend: str, program: str = "") -> subprocess.CompletedProcess[str]:
    """Load a backend in a process of its own, as only one fits into a process."""
    return subprocess.run(
        [
            *(sys.executable, "-c"),
            "from cxr_edge.backend import load_quietly\n"
            "from cxr_edge_runtime.errors import CxrEdgeError\n"
            f"{program}\n"
            "try:\n    load_quietly()\n"
            "except CxrEdgeError as error:\n"
            "    print(type(error).__name__, error)\n"
            "else:\n"
            "    import keras\n"
            "    from cxr_edge_train.devices import devices\n"
            "    keras.utils.set_random_seed(1)\n"
            "    print(keras.backend.backend(), *devices())\n",
        ],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("backend", ["numpy", "openvino", "nonsense"])
def test_backend_that_cannot_train_is_refused_in_one_line(backend: str) -> None:
    outcome = load(backend)
    assert outcome.stdout == (
        f"InvalidRequest KERAS_BACKEND={backend}: set it to tensorflow, jax or torch, which can "
        "train, or unset it\n"
    )
    assert outcome.stderr == ""


def test_backend_that_is_missing_names_its_own_extra() -> None:
    outcome = load("torch", WITHOUT_TORCH)
    assert outcome.stdout == (
        "ExtraMissing KERAS_BACKEND=torch: torch is not installed; "
        "run: pip install 'cxr-edge[torch]'\n"
    )


def test_another_backend_brings_no_chatter_of_tensorflow() -> None:
    outcome = load("jax")
    assert outcome.stdout == "jax cpu:0\n"
    assert outcome.stderr == ""
