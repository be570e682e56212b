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
    from cxr_edge.classifier import Classifier
    from cxr_edge_convert.convert import convert
    from cxr_edge_convert.external_models.model_import import import_keras_model
    from cxr_edge_convert.limits import Limits
    from cxr_edge_convert.report.conversion_report import ConversionReport
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.classifier import Prediction
    from cxr_edge_runtime.errors import CxrEdgeError
    from cxr_edge_train.cleaning.clean import CleaningResult, clean
    from cxr_edge_train.dataset.splits import SplitResult, split
    from cxr_edge_train.eda.exploration import Exploration, eda

__all__ = [
    "Bundle",
    "Classifier",
    "CleaningResult",
    "ConversionReport",
    "CxrEdgeError",
    "Exploration",
    "Limits",
    "Prediction",
    "SplitResult",
    "clean",
    "convert",
    "eda",
    "import_keras_model",
    "split",
]

# Where each name is defined: loaded on first use, since `cxr-edge --help` imports this module.
_MODULES = {
    "Bundle": "cxr_edge_runtime.bundle",
    "Classifier": "cxr_edge.classifier",
    "CleaningResult": "cxr_edge_train.cleaning.clean",
    "ConversionReport": "cxr_edge_convert.report.conversion_report",
    "CxrEdgeError": "cxr_edge_runtime.errors",
    "Exploration": "cxr_edge_train.eda.exploration",
    "Limits": "cxr_edge_convert.limits",
    "Prediction": "cxr_edge_runtime.classifier",
    "SplitResult": "cxr_edge_train.dataset.splits",
    "clean": "cxr_edge_train.cleaning.clean",
    "convert": "cxr_edge_convert.convert",
    "eda": "cxr_edge_train.eda.exploration",
    "import_keras_model": "cxr_edge_convert.external_models.model_import",
    "split": "cxr_edge_train.dataset.splits",
}

# The extra that each name needs; the others need the base install alone.
_EXTRAS = {
    "check_drift": "drift",
    "ConversionReport": "convert",
    "clean": "train",
    "compare": "train",
    "convert": "convert",
    "eda": "train",
    "evaluate": "train",
    "import_keras_model": "convert",
    "score": "ray",
    "split": "train",
    "train": "train",
}

# Names that need Keras, with the backend that each needs: None is the user's. Keras is loaded
# before their module, so that neither it nor the backend prints anything.
_KERAS: dict[str, str | None] = {
    "compare": None,
    "convert": "tensorflow",
    "evaluate": None,
    "import_keras_model": "tensorflow",
    "train": None,
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cxr-edge")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        if name in _KERAS:
            from cxr_edge.process.keras_backend import load_quietly

            load_quietly(_KERAS[name])
        return getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        if name not in _EXTRAS:
            raise
        from cxr_edge_runtime.errors import ExtraMissing

        raise ExtraMissing(
            f"cxr_edge.{name} needs {error.name}, which is not installed; "
            f"run: pip install 'cxr-edge[{_EXTRAS[name]}]'"
        ) from error


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
