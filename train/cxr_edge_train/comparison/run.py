"""``cxr_edge.compare``: architectures and recipes trained on the same images, one is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.arguments import as_path, check_callables, check_share, optional_path
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.comparison.choice import Candidate, Choice, choose, read_candidate
from cxr_edge_train.comparison.plan import Recipes, Weights, plan
from cxr_edge_train.comparison.readings import Readings, read_test_log
from cxr_edge_train.comparison.report import PAGE, write_comparison
from cxr_edge_train.dataset.metadata import images_root, read_metadata, read_splits
from cxr_edge_train.dataset.sampling import as_seed
from cxr_edge_train.defaults import MIN_SPECIFICITY, default_cache_dir
from cxr_edge_train.fitting.events import CallbackFactory, OnStart, ignore_start, no_callbacks
from cxr_edge_train.fitting.training import start_of, train_run
from cxr_edge_train.locator_folder import read_locator
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.runs import model_sha256
from cxr_edge_train.statistics.soundness import soundness_warnings


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidates that were compared, and the one that was chosen.

    Attributes:
        page: ``comparison.html``; the table as CSV and Markdown, the plots, the runs and the
            winner's model lie beside it.
        candidates: the trained architectures in the order in which they were named, each by its
            recipes in their order.
        choice: which one is chosen, and why.
        log: the file in which readings of test labels are looked for.
        readings: metrics on test of those finalists that the log has, by candidate.
    """

    page: Path
    candidates: tuple[Candidate, ...]
    choice: Choice
    log: Path
    readings: Readings

    @property
    def notice(self) -> str:
        """That this is research software, to be shown beside every result."""
        return NOTICE

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the candidates, one sentence each."""
        return tuple(
            f"{candidate.name}: {warning}"
            for candidate in self.candidates
            for warning in soundness_warnings(
                candidate.metrics.by_name(),
                candidate.run.operating_point,
                candidate.run.class_names,
            )
        )

    @property
    def unread(self) -> tuple[Candidate, ...]:
        """The finalists that were not measured on test images yet."""
        return tuple(c for c in self.choice.finalists if c.name not in self.readings)


def compare(
    metadata: str | Path,
    splits: str | Path = "splits.csv",
    *,
    architectures: Sequence[str] | None = None,
    weights: Weights | Mapping[str, Weights] = "imagenet",
    recipe: Recipes | Mapping[str, Recipes] = None,
    output: str | Path = "comparison",
    root: str | Path | None = None,
    seed: int = 0,
    min_specificity: float = MIN_SPECIFICITY,
    test_log: str | Path | None = None,
    locator: str | Path | None = None,
    on_start: OnStart = ignore_start,
    callbacks: CallbackFactory = no_callbacks,
    progress: ProgressFactory = no_progress,
) -> Comparison:
    """Train several architectures or recipes and choose one by its recall on validation.

    The highest recall at a threshold with the required specificity leads; among the candidates
    that do not differ from the leader by McNemar's test, the highest AUC wins, then the fewest
    parameters. No test label is read: metrics on test come from the log of
    :func:`cxr_edge.evaluate`. The same call resumes a comparison that was interrupted.

    Args:
        metadata: ``clean_metadata.csv``, which :func:`cxr_edge.clean` writes.
        splits: ``splits.csv``, which :func:`cxr_edge.split` writes.
        architectures: names of the architectures; None for all of them.
        weights: what the weights start from, as for :func:`cxr_edge.train`. A mapping gives them
            by architecture, its entry ``"*"`` for all others. ``pure_cnn`` always starts from
            random ones.
        recipe: the recipe, as for :func:`cxr_edge.train`; a list of recipes, by each of which an
            architecture is trained; or a mapping like that of the weights, whose values are either.
            By several recipes an architecture gives several candidates, which are called after it
            and the files (``mobilenetv2-a`` for ``a.toml``), or their numbers from 1 where a
            recipe is not a file.
        output: folder of the comparison.
        root: folder that the paths in the metadata are relative to; None for the folder of the
            metadata.
        seed: seed of everything random, 0 to 2**32 - 1.
        min_specificity: recall is compared at the threshold where specificity is at least this,
            above 0 and at most 1.
        test_log: the log of :func:`cxr_edge.evaluate`; None for ``test-log.jsonl`` in the output.
        locator: the folder of a lung locator, as for :func:`cxr_edge.train`; all candidates are
            shown its boxes.
        on_start: called before each candidate is trained.
        callbacks: gives additional Keras callbacks for each fit.
        progress: makes the progress bar over the images that are decoded.

    Returns:
        The candidates, the choice with its reason, and the page that was written.

    Raises:
        InvalidRequest: an argument is of the wrong type or out of range, an architecture is
            unknown, two recipes of one have the same name or content, or the output holds something
            else.
        DatasetError: metadata, splits, images or the test log are missing, damaged or too few.
        WeightsUnavailable: ImageNet weights cannot be downloaded or loaded.
        RunError: the loss was no longer a number, a run is damaged, or the locator is missing or
            damaged.
        EngineError: the locator cannot be loaded or run.

    Examples:
        >>> from cxr_edge import Recipe, compare
        >>> from cxr_edge_train.recipe import Fit, Model
        >>> small = Recipe(Model(image_size=32, alpha=0.25), fit=Fit(epochs=1))
        >>> comparison = compare("clean_metadata.csv", architectures=["pure_cnn"], recipe=small)
        >>> comparison.choice.winner.name, comparison.page.name
        ('pure_cnn', 'comparison.html')
        >>> comparison.choice.reason.endswith("It is the only candidate.")
        True
    """
    metadata, splits = as_path(metadata, "metadata"), as_path(splits, "splits")
    output = as_path(output, "output")
    log = optional_path(test_log, "test_log") or output / "test-log.jsonl"
    folder = optional_path(locator, "locator")
    check_share(min_specificity, "min_specificity")
    check_callables(on_start=on_start, callbacks=callbacks, progress=progress)
    runs = plan(
        read_splits(splits, read_metadata(metadata)),
        architectures,
        weights=weights,
        recipe=recipe,
        seed=as_seed(seed),
        root=images_root(root, default=metadata.resolve().parent),
        output=output,
        locator=None if folder is None else read_locator(folder),
    )
    candidates = []
    for planned in runs:
        if planned.finished:
            on_start(start_of(planned.task, planned.folder, finished=True))
        else:
            train_run(
                planned.task,
                output=planned.folder,
                cache_dir=default_cache_dir(),
                on_start=on_start,
                callbacks=callbacks,
                progress=progress,
            )
        candidates.append(
            read_candidate(
                planned.folder,
                parameters=planned.parameters,
                min_specificity=min_specificity,
                name=planned.name,
            )
        )
    choice = choose(candidates)
    # First without metrics on test: a log that cannot be used must not cost what was trained.
    write_comparison(output, candidates, choice, {})
    readings = read_test_log(log, {model_sha256(c.run.folder): c.name for c in candidates})
    if readings:
        write_comparison(output, candidates, choice, readings)
    return Comparison(output / PAGE, tuple(candidates), choice, log, readings)
