"""From a folder of chest X-rays to a verified classifier on a small device.

Classifying needs the base install alone::

    from cxr_edge import Classifier

    prediction = Classifier("tiny").classify("film.jpeg")
    print(prediction.label, prediction.probability)

Training and converting need the extras ``train`` and ``convert``. Every function returns a typed
result and prints nothing; docs/reference/python-api.md has them all. Every error derives from
:class:`CxrEdgeError`; see :mod:`cxr_edge_runtime.errors` for the tree.

Research use only. Not a medical device.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cxr_edge.classifier import Classifier
    from cxr_edge.evaluation import evaluate
    from cxr_edge.monitoring.drift import DriftLimits
    from cxr_edge.monitoring.drift_check import DriftCheck, check_drift
    from cxr_edge.scoring.run import ScoreResult, score
    from cxr_edge_convert.calibration import CalibrationResult, calibrate
    from cxr_edge_convert.convert import convert
    from cxr_edge_convert.external_models.model_import import import_keras_model
    from cxr_edge_convert.limits import Limits
    from cxr_edge_convert.locator.train_locator import train_locator
    from cxr_edge_convert.report.conversion_report import ConversionReport
    from cxr_edge_runtime.activation_map import activation_map
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.classifier import Prediction
    from cxr_edge_runtime.errors import CxrEdgeError
    from cxr_edge_train.cleaning.clean import CleaningResult, clean
    from cxr_edge_train.comparison.run import Comparison, compare
    from cxr_edge_train.dataset.splits import SplitResult, split
    from cxr_edge_train.eda.exploration import Exploration, eda
    from cxr_edge_train.evaluation.bundle_comparison import BundleComparison, compare_bundles
    from cxr_edge_train.evaluation.evaluation import Evaluation
    from cxr_edge_train.evaluation.suspects import find_suspects
    from cxr_edge_train.fitting.cross_validation import CrossValidation, cross_validate
    from cxr_edge_train.fitting.train import train
    from cxr_edge_train.locator_folder import LocatorFolder
    from cxr_edge_train.recipe import Recipe
    from cxr_edge_train.runs import Run

__all__ = [
    "Bundle",
    "BundleComparison",
    "CalibrationResult",
    "Classifier",
    "CleaningResult",
    "Comparison",
    "ConversionReport",
    "CrossValidation",
    "CxrEdgeError",
    "DriftCheck",
    "DriftLimits",
    "Evaluation",
    "Exploration",
    "Limits",
    "LocatorFolder",
    "Prediction",
    "Recipe",
    "Run",
    "ScoreResult",
    "SplitResult",
    "activation_map",
    "calibrate",
    "check_drift",
    "clean",
    "compare",
    "compare_bundles",
    "convert",
    "cross_validate",
    "eda",
    "evaluate",
    "find_suspects",
    "import_keras_model",
    "score",
    "split",
    "train",
    "train_locator",
]


class _Home(NamedTuple):
    """Where a public name is defined, and what loading it takes.

    Attributes:
        module: the module that defines the name.
        extra: the extra that the module needs; None where the base install is enough.
        keras: whether Keras is loaded first, so that it prints nothing.
    """

    module: str
    extra: str | None = None
    keras: bool = False


# Loaded on first use: `cxr-edge --help` imports this module.
_HOMES = {
    "Bundle": _Home("cxr_edge_runtime.bundle"),
    "Classifier": _Home("cxr_edge.classifier"),
    "CalibrationResult": _Home("cxr_edge_convert.calibration", "calibrate"),
    "BundleComparison": _Home("cxr_edge_train.evaluation.bundle_comparison", "train"),
    "CleaningResult": _Home("cxr_edge_train.cleaning.clean", "train"),
    "Comparison": _Home("cxr_edge_train.comparison.run", "train", keras=True),
    "ConversionReport": _Home("cxr_edge_convert.report.conversion_report", "convert"),
    "CxrEdgeError": _Home("cxr_edge_runtime.errors"),
    "CrossValidation": _Home("cxr_edge_train.fitting.cross_validation", "train", keras=True),
    "DriftCheck": _Home("cxr_edge.monitoring.drift_check", "drift"),
    "DriftLimits": _Home("cxr_edge.monitoring.drift", "drift"),
    "Evaluation": _Home("cxr_edge_train.evaluation.evaluation", "train"),
    "Exploration": _Home("cxr_edge_train.eda.exploration", "train"),
    "Limits": _Home("cxr_edge_convert.limits"),
    "LocatorFolder": _Home("cxr_edge_train.locator_folder"),
    "Prediction": _Home("cxr_edge_runtime.classifier"),
    "Recipe": _Home("cxr_edge_train.recipe"),
    "Run": _Home("cxr_edge_train.runs", "train"),
    "ScoreResult": _Home("cxr_edge.scoring.run", "ray"),
    "SplitResult": _Home("cxr_edge_train.dataset.splits", "train"),
    "activation_map": _Home("cxr_edge_runtime.activation_map"),
    "calibrate": _Home("cxr_edge_convert.calibration", "calibrate"),
    "check_drift": _Home("cxr_edge.monitoring.drift_check", "drift"),
    "clean": _Home("cxr_edge_train.cleaning.clean", "train"),
    "compare_bundles": _Home("cxr_edge_train.evaluation.bundle_comparison", "train"),
    "compare": _Home("cxr_edge_train.comparison.run", "train", keras=True),
    "convert": _Home("cxr_edge_convert.convert", "convert", keras=True),
    "cross_validate": _Home("cxr_edge_train.fitting.cross_validation", "train", keras=True),
    "eda": _Home("cxr_edge_train.eda.exploration", "train"),
    "evaluate": _Home("cxr_edge.evaluation", "train"),
    "find_suspects": _Home("cxr_edge_train.evaluation.suspects", "train"),
    "import_keras_model": _Home(
        "cxr_edge_convert.external_models.model_import", "convert", keras=True
    ),
    "score": _Home("cxr_edge.scoring.run", "ray"),
    "split": _Home("cxr_edge_train.dataset.splits", "train"),
    "train": _Home("cxr_edge_train.fitting.train", "train", keras=True),
    "train_locator": _Home("cxr_edge_convert.locator.train_locator", "convert", keras=True),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cxr-edge")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    try:
        if home.keras:
            from cxr_edge.process.keras_backend import load_quietly

            load_quietly()
        value = getattr(import_module(home.module), name)
    except ModuleNotFoundError as error:
        if home.extra is None:
            raise
        from cxr_edge_runtime.errors import ExtraMissing

        raise ExtraMissing.of(error.name, needed_by=f"cxr_edge.{name}", extra=home.extra) from error
    globals()[name] = value  # asked for once only
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
