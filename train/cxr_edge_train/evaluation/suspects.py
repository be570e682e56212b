"""Films whose label the model contradicts most, though it has not learned from them.

::

    OUTPUT/
    ├── suspects.csv    these films, the most suspect first
    ├── suspects.html   the same with pictures, for a radiologist
    └── figures/
"""

from pathlib import Path

import numpy as np
import pandas as pd

from cxr_edge_runtime.arguments import (
    as_path,
    as_whole_number,
    check_callables,
    optional_path,
)
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files.outputs import check_folder, has_first_line
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from cxr_edge_train.dataset.class_names import ClassNames, positives
from cxr_edge_train.dataset.metadata import images_root
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.worst_errors import draw_films, shown_name
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.reporting.figures import remove_figures, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table, write_page
from cxr_edge_train.runs import Run, read_dataset, read_folds, write_table

SUSPECTS = 50
_TABLE, _PAGE = "suspects.csv", "suspects.html"
_COLUMNS = ["path", "label", "patient", "probability", "contradiction", "fold"]
_IN_A_FIGURE = 12
# A radiologist looks at the whole film.
_SHOWN = PreprocessSpec(224, 224)


def find_suspects(
    folder: str | Path,
    *,
    number: int = SUSPECTS,
    output: str | Path | None = None,
    root: str | Path | None = None,
    progress: ProgressFactory = no_progress,
) -> pd.DataFrame:
    """Rank films by how far the answer of a model that did not learn from them is from the label.

    Args:
        folder: of the runs that :func:`cxr_edge.cross_validate` made.
        number: how many films to give.
        output: folder for the table and a page with pictures; None to write nothing.
        root: folder that the paths of the films are relative to; None for that of the runs.
        progress: makes the progress bar over the pictures.

    Returns:
        Of the films whose decision is not the label: ``path``, ``label``, ``patient``,
        ``probability`` of the positive label, ``contradiction``
        (its distance from the label, 0 to 1) and ``fold``, the most suspect film first.

    Raises:
        InvalidRequest: the output holds something else.
        RunError: there are no such runs, or one is damaged or not finished.
        DatasetError: a film is missing or changed since it was cleaned.

    Examples:
        >>> from cxr_edge import find_suspects
        >>> found = find_suspects("folds", number=3)
        >>> len(found), float(found["contradiction"][0]) >= float(found["contradiction"][2])
        (3, True)
    """
    folds, output = read_folds(as_path(folder, "folder")), optional_path(output, "output")
    number = as_whole_number(number, "number")
    check_callables(progress=progress)
    if output is not None:
        is_ours = has_first_line(",".join(_COLUMNS))
        check_folder(output, "a list of suspects", ours=lambda folder: is_ours(folder / _TABLE))
    films = [read_dataset(run.folder) for run in folds]
    _check_complete(folds[0].folder.parent, films)
    parts = [_part(run, table, fold) for fold, (run, table) in enumerate(zip(folds, films), 1)]
    table = pd.concat(parts, ignore_index=True)
    order = np.argsort(-table["contradiction"].to_numpy(), kind="stable")[:number]
    found = table.iloc[order].reset_index(drop=True)
    if output is not None:
        remove_figures(output)
        write_table(output / _TABLE, found[_COLUMNS])
        root = images_root(root, default=Path(folds[0].root))
        _write_page(output, found, folds[0], root, progress)
    return found[_COLUMNS]


def _check_complete(folder: Path, films: list[pd.DataFrame]) -> None:
    """Of the films of a fold that is missing none would be suspect."""
    held_out = {path for table in films for path in table["path"][table["split"] == "validation"]}
    missing = set(films[0]["path"]) - held_out
    if missing:
        raise RunError(
            f"{folder}: {counted(len(missing), 'film')} of {len(films[0])} not held out in any "
            "fold here; train all folds with cxr-edge train (folds)"
        )


def _part(run: Run, films: pd.DataFrame, fold: int) -> pd.DataFrame:
    known = ["path", "label", "patient", "md5", *run.class_names.column]
    films = films.loc[films["split"] == "validation", known]
    try:
        answers = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
        table = films.merge(
            answers[["path", "probability", "decision"]], on="path", validate="one_to_one"
        )
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{run.folder}: predictions.csv is damaged ({error})") from error
    table = table[table["decision"] != table["label"]]
    distance = (table["probability"] - positives(table)).abs()
    return table.assign(contradiction=distance, fold=fold)


def _write_page(
    output: Path, found: pd.DataFrame, run: Run, root: Path, progress: ProgressFactory
) -> None:
    read = progress("reading suspects")(zip(found["path"], found["md5"]), len(found))
    films = np.concatenate(
        [preprocess(read_unchanged(root / path, md5), _SHOWN) for path, md5 in read]
    )
    pictures = []
    for start in range(0, len(found), _IN_A_FIGURE):
        rows = found.iloc[start : start + _IN_A_FIGURE]
        title = f"{start + 1} to {start + len(rows)}"
        figure = draw_films(
            [
                f"label {row.label}, probability {row.probability:.3f}\n{shown_name(row.path)}"
                for row in rows.itertuples()
            ],
            films[start : start + len(rows)],
            None,
            title=title,
            names=ClassNames(*run.labels),
        )
        file = save_figure(figure, output / "figures" / f"suspects-{start + 1}.png")
        pictures.append(Picture(file, f"Suspects {title}."))
    section = Section(
        "Films to look at again",
        [
            "Each film was classified by a model that was not trained on any film of the patient; "
            "these films were only used to choose its epoch and calibration. The probability is "
            f"that of {run.class_names.positive}. Where label and probability disagree, either the "
            "label or the model may be wrong."
        ],
        tables=[
            Table(
                ["", "film", "label", "patient", "probability"],
                [
                    [str(place), row.path, row.label, row.patient, f"{row.probability:.3f}"]
                    for place, row in enumerate(found.itertuples(), start=1)
                ],
            )
        ],
        pictures=pictures,
    )
    write_page(output / _PAGE, title="Suspect labels", notice=NOTICE, sections=[section])
