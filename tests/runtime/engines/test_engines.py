import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cxr_edge_runtime import engines
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.engines import ENGINES, EngineSpec, open_engine
from cxr_edge_runtime.errors import EngineError, EngineMissing

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    return Bundle.load(golden_bundle)


class FakeAdapter:
    """Remembers what it was made with."""

    kernels = "none"

    def __init__(
        self, module: ModuleType, name: str, model: bytes, *contract: Any, threads: int
    ) -> None:
        self.module, self.name, self.model, self.threads = module, name, model, threads

    def run(self, image: Any) -> engines.Outputs:
        return {"logit": np.zeros((1, 1), np.float32)}


def test_engine_is_one_entry_of_the_registry(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("fake_engine")
    adapter = ModuleType("cxr_edge_runtime.engines.fake")
    adapter.FakeAdapter = FakeAdapter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_engine", package)
    monkeypatch.setitem(sys.modules, "cxr_edge_runtime.engines.fake", adapter)
    spec = EngineSpec("fake", "tflite", "fake_engine", "fake:FakeAdapter", "pip install fake")
    monkeypatch.setattr(engines, "ENGINES", (*ENGINES, spec))
    opened = open_engine(bundle, engine="fake", threads=3)
    assert isinstance(opened, FakeAdapter)
    assert (opened.module, opened.name, opened.threads) == (package, "fake", 3)
    assert opened.model == bundle.model
    # Without a name it is taken where those before it are not installed.
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    assert open_engine(bundle).name == "fake"


def test_first_engine_that_is_installed_is_taken(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_engine(bundle).name == "ai-edge-litert"
    monkeypatch.setitem(
        sys.modules, "tflite_runtime.interpreter", import_module("ai_edge_litert.interpreter")
    )
    assert open_engine(bundle).name == "ai-edge-litert"
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert open_engine(bundle).name == "tflite-runtime"
    with pytest.raises(EngineMissing, match="ai-edge-litert is not installed"):
        open_engine(bundle, engine="ai-edge-litert")


def test_engine_of_another_format_is_refused(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="onnxruntime does not run tflite models; choose ai"):
        open_engine(bundle, engine="onnxruntime")


@pytest.mark.parametrize("spec", ENGINES, ids=lambda spec: spec.name)
def test_entry_names_a_class_and_an_extra_that_are_there(spec: EngineSpec) -> None:
    file, _, name = spec.adapter.partition(":")
    assert callable(getattr(import_module(f"cxr_edge_runtime.engines.{file}"), name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if ".[" in spec.installation:
        extra = spec.installation.partition("[")[2].partition("]")[0]
        packages = project["optional-dependencies"][extra]
        assert any(package.startswith(spec.name) for package in packages)
    else:
        assert spec.installation.startswith("run: pip install ")


def test_registry_loads_neither_numpy_nor_an_engine() -> None:
    program = (
        "import sys, cxr_edge_runtime.engines\n"
        "print([name for name in ('numpy', 'ai_edge_litert') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
