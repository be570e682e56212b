"""From a folder of chest X-rays to a verified classifier on a small device.

Classifying needs the base install alone::

    from cxr_edge import Classifier

    prediction = Classifier("tiny").classify("film.jpeg")
    print(prediction.label, prediction.probability)

Research use only. Not a medical device. Every error derives from :class:`CxrEdgeError`; see
:mod:`cxr_edge_runtime.errors` for the tree.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxr_edge.evaluation import evaluate
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.classifier import Prediction
    from cxr_edge_runtime.errors import CxrEdgeError
    from cxr_edge_train.comparison.run import Comparison, compare
    from cxr_edge_train.evaluation.evaluation import Evaluation
    from cxr_edge_train.fitting.train import train
    from cxr_edge_train.recipe import Recipe
    from cxr_edge_train.runs import Run

__all__ = [
    "Bundle",
    "Comparison",
    "CxrEdgeError",
    "Evaluation",
    "Prediction",
    "Recipe",
    "Run",
    "compare",
    "evaluate",
    "train",
]

# Where each name is defined: loaded on first use, since `cxr-edge --help` imports this module.
_MODULES = {
    "Bundle": "cxr_edge_runtime.bundle",
    "Comparison": "cxr_edge_train.comparison.run",
    "CxrEdgeError": "cxr_edge_runtime.errors",
    "Evaluation": "cxr_edge_train.evaluation.evaluation",
    "Prediction": "cxr_edge_runtime.classifier",
    "Recipe": "cxr_edge_train.recipe",
    "Run": "cxr_edge_train.runs",
    "compare": "cxr_edge_train.comparison.run",
    "evaluate": "cxr_edge.evaluation",
    "train": "cxr_edge_train.fitting.train",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cxr-edge")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
