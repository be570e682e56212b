"""Classify chest X-rays on small devices: Pillow, numpy and one inference engine.

    from pathlib import Path
    from cxr_edge_runtime import Bundle, Classifier

    classifier = Classifier(Bundle.load(Path("my-bundle")))
    prediction = classifier.classify("film.jpeg")
    print(prediction.label, prediction.probability)

Research use only. Not a medical device. Every error derives from :class:`CxrEdgeError`; see
:mod:`cxr_edge_runtime.errors` for the tree.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.manifest import Manifest
    from cxr_edge_runtime.classifier import Classifier, Prediction
    from cxr_edge_runtime.errors import BundleError, CxrEdgeError, EngineError, ImageError
    from cxr_edge_runtime.preprocess import PreprocessSpec

# Loaded on first use: `cxr-edge --help` needs the errors and should not wait for numpy.
_MODULES = {
    "Bundle": "bundle",
    "BundleError": "errors",
    "Classifier": "classifier",
    "CxrEdgeError": "errors",
    "EngineError": "errors",
    "ImageError": "errors",
    "Manifest": "bundle.manifest",
    "Prediction": "classifier",
    "PreprocessSpec": "preprocess",
}

__all__ = [
    "Bundle",
    "BundleError",
    "Classifier",
    "CxrEdgeError",
    "EngineError",
    "ImageError",
    "Manifest",
    "Prediction",
    "PreprocessSpec",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
