"""What a check is: how it is run, how its finding is stored, and how its finding is shown.

The report, the terminal and the exploration page know checks by this interface only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.intervals import Interval

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class IntervalPlot:
    """Metrics with their intervals, to be drawn below each other.

    Attributes:
        title: the title of the plot.
        axis: the label of the horizontal axis.
        intervals: the metrics by name, in the order in which they are drawn.
        chance: the value that a guess has, drawn as a dotted line.
        limit: values above it are marked; drawn as a dashed line.
        caption: what the plot shows and how to read it, without the names beyond the limit.
    """

    title: str
    axis: str
    intervals: Mapping[str, Interval]
    chance: float
    limit: float
    caption: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person is shown of a finding, on the terminal and on the exploration page.

    Attributes:
        text: the finding in words.
        verdict: the judgement in one word, as in the report; empty where the check does not judge.
        alarm: whether the finding must not be overlooked.
        columns: the heading of each column of ``rows``.
        rows: the details as text, one row per item.
        plot: a picture of the finding, for the page only.
    """

    text: str
    verdict: str = ""
    alarm: bool = False
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    plot: IntervalPlot | None = None

    def __str__(self) -> str:
        """The verdict and the text in one line."""
        return f"{self.verdict}. {self.text}" if self.verdict else self.text


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check can use.

    Attributes:
        inventory: all files, after the exclusions of the registry.
        findings: the findings of the checks that stand before this one in the registry, by name.
        progress: makes the progress bar of work that takes more than a moment.
    """

    inventory: Inventory
    findings: Mapping[str, Any]
    progress: ProgressFactory = no_progress

    def finding(self, check: "Check[F]") -> F:
        """The finding of an earlier check.

        Raises:
            KeyError: the check stands later in the registry.
        """
        return cast("F", self.findings[check.name])


@dataclass(frozen=True, slots=True)
class Check(Generic[F]):
    """One entry of the registry.

    Attributes:
        name: the key in the cleaning report, for example ``near_duplicates``. With a hyphen it
            begins the line on the terminal, and it is the title on the exploration page.
        finding: the type of the finding, by whose annotations the report is read. It may be a
            frozen dataclass, ``X | None``, a ``Literal``, ``tuple``, ``Mapping``, or a type that
            JSON has.
        run: computes the finding.
        summarise: describes it.
        explanation: one or two sentences for the page: what is checked, and why it matters.
    """

    name: str
    finding: type[F]
    run: Callable[[CheckContext], F]
    summarise: Callable[[F], Summary]
    explanation: str

    @property
    def label(self) -> str:
        """The name as it stands on the terminal, for example ``near-duplicates``."""
        return self.name.replace("_", "-")
