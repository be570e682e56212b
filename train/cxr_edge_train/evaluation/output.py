"""The folder of an evaluation.

::

    OUTPUT/
    ├── evaluation.json    see Evaluation.as_dict
    ├── evaluation.html    the same for a reader, with the plots
    ├── predictions.csv    logit, probability and decision of each image
    └── figures/           PNG files
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.files.outputs import begins_with, check_folder
from cxr_edge_train.evaluation.evaluation import Evaluation
from cxr_edge_train.evaluation.figures import FIGURES, write_figures, write_learning_curves
from cxr_edge_train.evaluation.page import write_evaluation_page
from cxr_edge_train.evaluation.predictions import model_input
from cxr_edge_train.evaluation.subject import Subject
from cxr_edge_train.runs import write_table

_CONTENT = "evaluation.json"
_IS_CONTENT = begins_with(b'{\n  "schema_version": ')


def check_output(output: Path) -> None:
    """Check that an evaluation may be written into a folder.

    Raises:
        InvalidRequest: the folder holds something else, or cannot be made or written.
    """
    check_folder(output, "an evaluation", ours=lambda folder: _IS_CONTENT(folder / _CONTENT))


def write_evaluation(
    output: Path,
    evaluation: Evaluation,
    predictions: pd.DataFrame,
    subject: Subject,
    table: pd.DataFrame,
    *,
    root: Path,
) -> None:
    """Write an evaluation; that of a trained run contains its learning curves as well.

    Args:
        output: folder to write to; made where it is missing. See :func:`check_output`.
        evaluation: the metrics.
        predictions: from :func:`cxr_edge_train.evaluation.predictions.predict`.
        subject: the model that predicted.
        table: rows of the images, with ``path`` and ``md5``, in the order of the predictions.
        root: folder that the paths are relative to.

    Raises:
        DatasetError: an image is missing or changed since cleaning.
        ImageError: an image cannot be read or decoded.
        RunError: the history of the run is damaged.
    """

    def films(positions: NDArray[np.intp]) -> NDArray[np.uint8]:
        chosen = table.iloc[positions]
        return np.concatenate(
            [
                model_input(root / path, md5, subject.prepare)
                for path, md5 in zip(chosen["path"], chosen["md5"])
            ]
        )

    # First: what fails later, such as a film that changed, leaves a folder that is recognised.
    write_text(output / _CONTENT, json.dumps(evaluation.as_dict(), indent=2) + "\n")
    write_table(output / "predictions.csv", predictions)
    write_figures(
        output / FIGURES,
        predictions,
        evaluation.metrics,
        threshold=evaluation.operating_point.threshold,
        films=films,
        activation_maps=subject.activation_maps if subject.gives_maps else None,
    )
    write_evaluation_page(output, evaluation, output / FIGURES)
    if subject.run_folder is not None:
        write_learning_curves(subject.run_folder, output / FIGURES)
