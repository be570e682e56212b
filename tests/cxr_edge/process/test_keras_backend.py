import os
import subprocess
import sys
from pathlib import Path

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
            "from cxr_edge.process.keras_backend import load_quietly\n"
            "from cxr_edge_runtime.errors import CxrEdgeError\n"
            f"{program}\n"
            "try:\n    load_quietly()\n"
            "except CxrEdgeError as error:\n"
            "    print(type(error).__name__, error)\n"
            "else:\n"
            "    import keras\n"
            "    from cxr_edge_train.backend.devices import devices\n"
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
        f"InvalidRequest Keras' backend {backend} cannot train; set KERAS_BACKEND to tensorflow, "
        "jax or torch\n"
    )
    assert outcome.stderr == ""


def test_backend_that_is_missing_names_its_own_extra() -> None:
    outcome = load("torch", WITHOUT_TORCH)
    assert outcome.stdout == (
        "ExtraMissing the chosen Keras backend needs torch, which is not installed; "
        "run: pip install '.[torch]' in the checkout, or with the wheel's file name instead of .\n"
    )


def test_backend_of_keras_own_settings_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "numpy"}')
    outcome = load("", f"import os; os.environ['KERAS_HOME'] = {str(tmp_path)!r}")
    assert outcome.stdout.startswith("InvalidRequest Keras' backend numpy cannot train; ")
    assert outcome.stderr == ""


def test_another_backend_is_loaded_without_a_word() -> None:
    outcome = load("jax")
    assert outcome.stdout == "jax cpu:0\n"
    assert outcome.stderr == ""
