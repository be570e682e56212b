"""Two bundles on the same films: what an update would change.

::

    OUTPUT/
    ├── comparison.json   see BundleComparison.as_dict
    ├── comparison.html   the same for a reader, with the films
    ├── films.csv         both answers to each film
    └── figures/          the films whose decision changes
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.arguments import as_path, check_callables, optional_path
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.classifier import as_threads
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.device.inference_timing import Timing, measure
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.files.outputs import begins_with, check_apart, check_folder
from cxr_edge_runtime.gate import REJECTED
from cxr_edge_runtime.images import load_grey
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.metadata import images_root, read_metadata
from cxr_edge_train.dataset.test_films import DEFAULT_SPLITS, without_test_films
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.metrics import count_decisions
from cxr_edge_train.evaluation.predictions import predict, predict_folder
from cxr_edge_train.evaluation.site_metrics import site_metrics
from cxr_edge_train.evaluation.subject import Answers, check_names, own_film_warnings
from cxr_edge_train.evaluation.worst_errors import draw_films, shown_name
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.reporting.figures import remove_figures, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table, write_page
from cxr_edge_train.runs import write_table
from cxr_edge_train.statistics.intervals import Interval
from cxr_edge_train.statistics.mcnemar import exact_mcnemar
from cxr_edge_train.statistics.soundness import has_reversed_labels

_CONTENT, _PAGE = "comparison.json", "comparison.html"
_IS_CONTENT = begins_with(b'{\n  "bundles": ')
_TITLE = "Two bundles compared"
# Films that are shown of each direction.
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ComparedBundle:
    """One of two bundles.

    Attributes:
        name: its name.
        digest: its digest.
        verdicts: number of films by verdict of its gate.
        sensitivity: on the films that both answer, with Wilson's interval; None without labels.
        specificity: likewise.
        timing: its inference with one thread on this device.
    """

    name: str
    digest: str
    verdicts: dict[str, int]
    sensitivity: Interval | None
    specificity: Interval | None
    timing: Timing


@dataclass(frozen=True, slots=True)
class BundleComparison:
    """What two bundles say of the same films.

    Attributes:
        bundles: the one in use and the one that may follow it.
        n: number of films.
        answered: number of films that both gates let pass; the rest of the figures are of these.
        films: a row for each film, with ``path``, ``label`` where it is known, and of both bundles
            ``probability``, ``decision`` (empty where the gate rejects) and ``verdict``.
        to_positive: number of films that the second calls positive and the first does not.
        to_negative: number of films that the first calls positive and the second does not.
        mean_shift: mean of the second probability less the first.
        largest_shift: the largest change of a probability.
        mcnemar_p: p-value of McNemar's exact test of equal correctness, which takes films as
            independent; None without labels.
        warnings: what the user should know, one sentence each.
    """

    bundles: tuple[ComparedBundle, ComparedBundle]
    n: int
    answered: int
    films: pd.DataFrame
    to_positive: int
    to_negative: int
    mean_shift: float
    largest_shift: float
    mcnemar_p: float | None
    warnings: tuple[str, ...]

    @property
    def notice(self) -> str:
        """That this is research software, to be shown beside every result."""
        return NOTICE

    def as_dict(self) -> dict[str, Any]:
        """The content of ``comparison.json``."""
        return {
            "bundles": [asdict(bundle) for bundle in self.bundles],
            "n": self.n,
            "answered": self.answered,
            "to_positive": self.to_positive,
            "to_negative": self.to_negative,
            "mean_shift": self.mean_shift,
            "largest_shift": self.largest_shift,
            "mcnemar_p": self.mcnemar_p,
            "warnings": list(self.warnings),
            "notice": NOTICE,
        }


def compare_bundles(
    one: Bundle,
    other: Bundle,
    films: str | Path,
    *,
    splits: str | Path = DEFAULT_SPLITS,
    output: str | Path | None = None,
    root: str | Path | None = None,
    threads: int = 1,
    progress: ProgressFactory = no_progress,
) -> BundleComparison:
    """Compare two bundles on the same films, before one replaces the other.

    Args:
        one: the bundle in use.
        other: the one that may follow it; it has the same labels.
        films: ``clean_metadata.csv`` of labelled films, of which those called test are left out; or
            a folder of films.
        splits: what it calls test is left out, too; the default file may be missing.
        output: folder for the table of films and a page that shows those whose decision changes;
            None to write nothing.
        root: folder that the paths in the metadata are relative to; None for the metadata's own.
        threads: threads of the engines.
        progress: makes the progress bars.

    Raises:
        InvalidRequest: an argument is of the wrong type, the labels of the bundles differ, or the
            output holds something else or cannot be written.
        DatasetError: metadata or films are missing or damaged, or have other labels.
        EngineError: an engine failed.

    Examples:
        >>> from cxr_edge import Bundle, compare_bundles
        >>> import cxr_edge_models
        >>> one, other = (
        ...     Bundle.load(cxr_edge_models.path(name)) for name in ("tiny", "mobilenetv2-int8")
        ... )
        >>> comparison = compare_bundles(one, other, "clean_metadata.csv")
        >>> comparison.n, comparison.bundles[1].name
        (80, 'mobilenetv2-int8')
    """
    films, output = as_path(films, "films"), optional_path(output, "output")
    check_callables(progress=progress)
    if output is not None:
        check_folder(output, "a comparison", ours=lambda folder: _IS_CONTENT(folder / _CONTENT))
    subjects = tuple(BundleSubject(bundle, threads=as_threads(threads)) for bundle in (one, other))
    if subjects[0].names != subjects[1].names:
        first, second = (" and ".join(subject.names) for subject in subjects)
        raise InvalidRequest(
            f"the labels of the first bundle are {first}, those of the other {second}"
        )
    if films.is_dir():
        if output is not None:
            check_apart(output, films)  # its pictures would be films the next time
        table, answers, warnings = _of_folder(subjects, films, progress)
        root = films
    else:
        root, splits = images_root(root, default=films.resolve().parent), as_path(splits, "splits")
        table, answers, warnings = _of_metadata(subjects, films, splits, root, progress)
    for bundle in (one, other):
        if bundle.manifest.is_rejected:
            name = bundle.manifest.name
            warnings += (f"{name} missed an accuracy limit when it was converted",)
    rows = _rows(table, subjects, answers)
    comparison = _compared((one, other), rows, subjects, warnings)
    if output is not None:
        _write(output, comparison, subjects[0], root)
    return comparison


def _of_folder(
    subjects: tuple[BundleSubject, ...], folder: Path, progress: ProgressFactory
) -> tuple[pd.DataFrame, list[Answers], tuple[str, ...]]:
    found = [predict_folder(subject, folder, progress=progress) for subject in subjects]
    paths, _, unread = found[0]
    warnings = _own_films(subjects, None)
    if unread:
        warnings = (f"{counted(unread, 'film')} left out (unreadable)", *warnings)
    return pd.DataFrame({"path": paths}), [answers for _, answers, _ in found], warnings


def _of_metadata(
    subjects: tuple[BundleSubject, ...],
    file: Path,
    splits: Path,
    root: Path,
    progress: ProgressFactory,
) -> tuple[pd.DataFrame, list[Answers], tuple[str, ...]]:
    metadata = read_metadata(file)
    check_names(subjects[0], metadata, file)
    table, left_out = without_test_films(file, metadata, splits)
    warnings = (*left_out, *_own_films(subjects, table))
    answers = [predict(subject, table, root=root, progress=progress)[1] for subject in subjects]
    if len(set(table["label"])) == 1:
        warnings += (f"all films have the label {table['label'].iloc[0]}",)
    else:
        found = site_metrics(answers[0].logits, table, subjects[0].operating_point)
        if has_reversed_labels(found):
            warnings += (f"the AUC is {found['auc']}: are the labels swapped?",)
    return table, answers, warnings


def _own_films(subjects: tuple[BundleSubject, ...], films: pd.DataFrame | None) -> tuple[str, ...]:
    said = (sentence for subject in subjects for sentence in own_film_warnings(subject, films))
    return tuple(dict.fromkeys(said))


def _rows(
    table: pd.DataFrame, subjects: tuple[BundleSubject, ...], answers: list[Answers]
) -> pd.DataFrame:
    names = subjects[0].names
    kept = [column for column in ("path", "label", *names.column) if column in table]
    rows = table[kept].copy()
    for place, (subject, answer) in enumerate(zip(subjects, answers), start=1):
        point = subject.operating_point
        probability = point.probabilities(answer.logits)
        called = np.where(probability >= point.threshold, names.positive, names.negative)
        verdicts = np.array(answer.verdicts)
        rows[f"probability_{place}"] = probability
        rows[f"decision_{place}"] = np.where(verdicts == REJECTED, "", called)
        rows[f"verdict_{place}"] = verdicts
    return rows


def _compared(
    bundles: tuple[Bundle, Bundle],
    rows: pd.DataFrame,
    subjects: tuple[BundleSubject, ...],
    warnings: tuple[str, ...],
) -> BundleComparison:
    both = rows[(rows["decision_1"] != "") & (rows["decision_2"] != "")]
    positive = subjects[0].names.positive
    was, now = ((both[f"decision_{place}"] == positive).to_numpy() for place in (1, 2))
    shift = (both["probability_2"] - both["probability_1"]).to_numpy()
    truth = positives(both) == 1 if "label" in both else None
    compared = []
    for place, (bundle, called) in enumerate(zip(bundles, (was, now)), start=1):
        counts = None
        if truth is not None and len(truth):
            counts = count_decisions(called.astype(float), truth.astype(np.int64), threshold=0.5)
        compared.append(
            ComparedBundle(
                bundle.manifest.name,
                bundle.digest,
                dict(sorted(Counter(rows[f"verdict_{place}"]).items())),
                _known(counts.sensitivity) if counts else None,
                _known(counts.specificity) if counts else None,
                measure(bundle.path, threads=(1,))[0],
            )
        )
    return BundleComparison(
        bundles=(compared[0], compared[1]),
        n=len(rows),
        answered=len(both),
        films=rows,
        to_positive=int((now & ~was).sum()),
        to_negative=int((was & ~now).sum()),
        mean_shift=float(shift.mean()) if len(shift) else 0.0,
        largest_shift=float(np.abs(shift).max()) if len(shift) else 0.0,
        mcnemar_p=(
            None if truth is None or not len(both) else exact_mcnemar(was == truth, now == truth)
        ),
        warnings=warnings,
    )


def _known(share: Interval) -> Interval | None:
    return share if share.n else None


def _write(output: Path, comparison: BundleComparison, subject: BundleSubject, root: Path) -> None:
    remove_figures(output)
    write_text(output / _CONTENT, json.dumps(comparison.as_dict(), indent=2) + "\n")
    write_table(output / "films.csv", comparison.films)
    sections = [_summary(comparison)]
    rows, names = comparison.films, subject.names
    for before, after in (names, names[::-1]):
        changed = rows[(rows["decision_1"] == before) & (rows["decision_2"] == after)]
        if len(changed):
            sections.append(_changed(changed, before, after, output, subject, root))
    write_page(output / _PAGE, title=_TITLE, notice=NOTICE, sections=sections)


def _summary(comparison: BundleComparison) -> Section:
    one, other = comparison.bundles
    labelled = comparison.mcnemar_p is not None
    rows = [["digest (start of the SHA-256 of bundle.json)", one.digest[:12], other.digest[:12]]]
    if labelled:
        rows += [
            [measure, *(str(getattr(bundle, measure) or "") for bundle in (one, other))]
            for measure in ("sensitivity", "specificity")
        ]
    rows += [
        [
            f"input gate: {verdict}",
            *(str(bundle.verdicts.get(verdict, 0)) for bundle in comparison.bundles),
        ]
        for verdict in sorted({*one.verdicts, *other.verdicts})
    ]
    rows += [
        ["ms per inference, median", *(f"{b.timing.p50_ms:.2f}" for b in comparison.bundles)],
        ["peak MB", *(f"{b.timing.peak_memory_mb:.0f}" for b in comparison.bundles)],
    ]
    return Section(
        "Summary",
        [
            *comparison.warnings,
            *comparison_lines(comparison),
            "The input gate checks whether an image is a usable frontal chest X-ray.",
        ],
        tables=[Table(["", one.name, other.name], rows)],
    )


def comparison_lines(comparison: BundleComparison) -> list[str]:
    """The comparison in sentences."""
    changed = comparison.to_positive + comparison.to_negative
    lines = [
        f"{comparison.answered} of {counted(comparison.n, 'film')} answered by both; the "
        f"decision changes on {changed}: {comparison.to_positive} become positive, "
        f"{comparison.to_negative} negative.",
        f"The probability changes by {comparison.mean_shift:+.4f} on average and by at most "
        f"{comparison.largest_shift:.3f}.",
    ]
    if comparison.mcnemar_p is not None:
        lines.append(f"McNemar's exact test of equal correctness: p = {comparison.mcnemar_p:.2g}.")
    return lines


def _changed(
    changed: pd.DataFrame, before: str, after: str, output: Path, subject: BundleSubject, root: Path
) -> Section:
    distance = (changed["probability_2"] - changed["probability_1"]).abs()
    shown = changed.loc[distance.sort_values(ascending=False, kind="stable").index].head(_SHOWN)
    films = np.concatenate([_shown_film(root / path, subject) for path in shown["path"]])
    labels = shown["label"] if "label" in shown else [""] * len(shown)
    captions = [
        f"{f'label {label}, ' if label else ''}{was:.3f} to {now:.3f}\n{shown_name(path)}"
        for path, label, was, now in zip(
            shown["path"], labels, shown["probability_1"], shown["probability_2"]
        )
    ]
    title = f"{before} becomes {after}: {len(shown)} of {len(changed)}"
    figure = draw_films(captions, films, None, title=title, names=subject.names)
    file = save_figure(figure, output / "figures" / f"{before}-{after}.png")
    return Section(title, pictures=[Picture(file, f"{title}, those that change most first.")])


def _shown_film(path: Path, subject: BundleSubject) -> NDArray[np.uint8]:
    film = load_grey(path, least_side=subject.prepare.least_side)
    return subject.prepare(film.pixels).model_input
