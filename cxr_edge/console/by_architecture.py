"""Options of ``compare`` that are given for one architecture or for all others."""

from collections.abc import Sequence

from cxr_edge_train import architectures
from cxr_edge_train.comparison.plan import OTHERS


def by_architecture(given: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` for one architecture and ``VALUE`` for all others.

    A value may itself contain ``=``, as paths do: what has no known name before its first ``=`` is
    for all others. Of several values for the same, the last one counts.

    Args:
        given: the values of an option.
    """
    return {name: values[-1] for name, values in several_by_architecture(given).items()}


def several_by_architecture(given: Sequence[str]) -> dict[str, list[str]]:
    """Read the same, where all values for one architecture count, in their order."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, _, value = text.partition("=")
        known = bool(value) and name in architectures.ARCHITECTURES
        found.setdefault(name if known else OTHERS, []).append(value if known else text)
    return found
