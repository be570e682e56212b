"""Classify chest X-rays on small devices: Pillow, numpy and one inference engine.

    from pathlib import Path
    from cxr_edge_runtime import Bundle, Classifier

    classifier = Classifier(Bundle.load(Path("my-bundle")))
    prediction = classifier.classify(Path("film.jpeg"))
    print(prediction.label, prediction.probability)

Research use only. Not a medical device. Every error derives from :class:`CxrEdgeError`; see
:mod:`cxr_edge_runtime.errors` for the tree.
"""

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import BundleError, CxrEdgeError, EngineError, ImageError
from cxr_edge_runtime.manifest import Manifest
from cxr_edge_runtime.preprocess import PreprocessSpec

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
