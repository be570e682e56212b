"""The tables of docs/results/peers.md, from the figures alone."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.peers.contestants import BASE_LINE, CONTESTANTS, OURS, PEERS, float_rival

BEGIN = "<!-- benchmarks/peers/run.py writes from here -->"
END = "<!-- to here -->"

# What run.py saw of processes.
Measured = Sequence[Mapping[str, float]]

_MB = 1e6
_ONE = """\
| | one film: time | processor time | memory | model |
|---|---|---|---|---|
"""
_FOLDER = """\
| | folder: time | processor time | films a second under way | memory |
|---|---|---|---|---|
"""
_INSTALLED = """\
| | to classify | to quantize too | versions |
|---|---|---|---|
"""
_LOSSES = """\
| | recall | specificity | AUC | to NORMAL, to PNEUMONIA | same decisions | McNemar p | mean shift |
|---|---|---|---|---|---|---|---|
"""


def insert(page: str, figures: dict[str, Any]) -> str:
    """The page with new tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(figures)}\n{END}{after}"


def tables(figures: dict[str, Any]) -> str:
    """All tables, as Markdown."""
    load = figures["load_before_rounds"]
    rounds = len(figures["runs"][BASE_LINE.name]["one"])
    head = (
        f"{figures['date']}, Python {figures['python']}, {figures['cores']} cores of a shared "
        f"{figures['machine']} machine, {rounds} rounds, load average before a round "
        f"{min(load):.1f} to {max(load):.1f}; folder of {figures['films']} films.\n"
    )
    parts = [
        head,
        _ONE + _one_film(figures["runs"]),
        _FOLDER + _folder(figures["runs"], figures["films"]),
        _INSTALLED + _installed(figures),
    ]
    if "losses" in figures:
        parts.append(_LOSSES + _losses(figures["losses"]))
    return "\n".join(parts)


def _one_film(runs: dict[str, Any]) -> str:
    ours = runs[BASE_LINE.name]["one"]
    rows = []
    for contestant in CONTESTANTS:
        theirs = runs[contestant.name]["one"]
        model = f"{runs[contestant.name]['model_bytes'] / _MB:.2f} MB"
        rows.append(_row(contestant.title, *_times(theirs, ours), _memory(theirs), model))
    return "".join(rows)


def _folder(runs: dict[str, Any], films: int) -> str:
    ours = runs[BASE_LINE.name]
    rows = []
    for contestant in CONTESTANTS:
        theirs = runs[contestant.name]
        rate = _compared(films_a_second(theirs, films), films_a_second(ours, films), "{:.0f}")
        times = _times(theirs["folder"], ours["folder"])
        rows.append(_row(contestant.title, *times, rate, _memory(theirs["folder"])))
    return "".join(rows)


def films_a_second(runs: dict[str, Any], films: int) -> list[float]:
    """Once a process is under way: what each folder took longer than a single film does."""
    one = statistics.median(_column(runs["one"], "seconds"))
    return [(films - 1) / (seconds - one) for seconds in _column(runs["folder"], "seconds")]


def _times(theirs: Measured, ours: Measured) -> list[str]:
    return [
        _compared(_column(theirs, name), _column(ours, name), "{:.2f} s")
        for name in ("seconds", "processor_seconds")
    ]


def _memory(measured: Measured) -> str:
    return f"{statistics.median(_column(measured, 'peak_mib')):.0f} MiB"


def _column(measured: Measured, name: str) -> list[float]:
    return [process[name] for process in measured]


def _compared(theirs: list[float], ours: list[float], form: str) -> str:
    """Of the base line itself the figure, of others the ratio to it, round by round."""
    if theirs == ours:
        return form.format(statistics.median(ours))
    ratios = sorted(their / our for their, our in zip(theirs, ours))
    return f"× {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def _installed(figures: dict[str, Any]) -> str:
    rows = []
    for peer in PEERS:
        size = figures["installed_mb"][peer]
        versions = ", ".join(f"{name} {v}" for name, v in figures["versions"][peer].items())
        title = f"**{peer}**" if peer == OURS else peer
        rows.append(_row(title, f"{size['classify']} MB", f"{size['prepare']} MB", versions))
    return "".join(rows)


def _losses(losses: dict[str, Any]) -> str:
    number: Callable[[float], str] = "{:+.3f}".format
    rows = []
    for contestant in CONTESTANTS:
        found = losses[contestant.name]
        if contestant == float_rival(contestant):
            continue
        agreement = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**found["agreement"])
        cells = [
            # A drop of 0.010 is shown as -0.010; + 0.0 turns a negative zero.
            *(number(-found[f"{name}_drop"] + 0.0) for name in ("recall", "specificity", "auc")),
            f"{found['to_negative']}, {found['to_positive']}",
            agreement,
            f"{found['mcnemar_p']:.2g}",
            f"{found['mean_probability_shift']:.3f}",
        ]
        rows.append(_row(contestant.title, *cells))
    return "".join(rows)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
