"""All checks of cleaning, in the order in which they run, are stored and are shown."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cxr_edge_train.cleaning.checks import leaks, near_duplicates, shortcuts
from cxr_edge_train.cleaning.checks.check import Check, CheckContext, Summary
from cxr_edge_train.cleaning.checks.duplicates import leave_out_duplicates
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.progress import ProgressFactory, no_progress

# Leave files out before anything is checked: each sets `state` and `reason` in the inventory.
EXCLUSIONS: tuple[Callable[[Inventory], None], ...] = (leave_out_duplicates,)

# Report what is found among the files that are kept, or among all that were found.
CHECKS: tuple[Check[Any], ...] = (near_duplicates.CHECK, leaks.CHECK, shortcuts.CHECK)


def run_checks(
    inventory: Inventory, *, progress: ProgressFactory = no_progress
) -> Mapping[str, Any]:
    """Run every check on an inventory.

    Args:
        inventory: all files, after the exclusions.
        progress: makes the progress bar of a check that takes more than a moment.

    Returns:
        The finding of each check by its name, in the order of the registry.
    """
    findings: dict[str, Any] = {}
    for check in CHECKS:
        context = CheckContext(inventory, MappingProxyType(findings), progress)
        findings[check.name] = check.run(context)
    return findings


def summarise(findings: Mapping[str, Any]) -> dict[str, Summary]:
    """Summarise the findings of all checks.

    Args:
        findings: the finding of each check by its name.

    Returns:
        The summaries by the checks' labels, in the order of the registry.
    """
    return {check.label: check.summarise(findings[check.name]) for check in CHECKS}
