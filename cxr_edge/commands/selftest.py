"""``cxr-edge selftest``."""

import json
from typing import TYPE_CHECKING

import typer

from cxr_edge.bundles.notice import quoted
from cxr_edge.console import options
from cxr_edge_runtime.errors import LimitMissed

if TYPE_CHECKING:
    from cxr_edge_runtime.device.selftest import Outcome


def selftest(
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Compare this device with the one that made the bundle.

    Decisions must be the same and probabilities alike on the inputs that the bundle carries.

    Exit code 4 when they differ.
    """
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge_runtime.device.selftest import MAX_SHIFT, run_selftest
    from cxr_edge_runtime.engines import open_engine

    loaded = load_bundle(bundle)
    opened = open_engine(loaded, threads=threads, engine=engine)
    golden, outcomes = run_selftest(loaded, opened)
    largest = max(abs(outcome.computed - outcome.expected) for outcome in outcomes)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    here = f"{opened.name}, {opened.kernels}"
    if as_json:
        content = {
            "passed": not failed,
            "engine": opened.name,
            "kernels": opened.kernels,
            "made_with": golden.made_with,
            "largest_shift": round(largest, 6),
            "inputs": [_as_json(outcome) for outcome in outcomes],
            "bundle": loaded.digest,
            "notice": loaded.manifest.notice,
        }
        typer.echo(json.dumps(content))
    else:
        typer.echo(f"here       {here}\nmade with  {quoted(golden.made_with)}")
        typer.echo("expected  computed")
        for outcome in outcomes:
            typer.echo(
                f"{outcome.expected:>8.4f}  {outcome.computed:>8.4f}  "
                f"{'passed' if outcome.passed else 'FAILED'}"
            )
        typer.echo(loaded.manifest.notice)
    if failed:
        raise LimitMissed(
            f"{len(failed)} of {len(outcomes)} golden inputs differ by more than {MAX_SHIFT} or "
            f"in the decision (largest difference {largest:.3f}) with {here}; do not use this "
            "bundle on this device"
        )


def _as_json(outcome: "Outcome") -> dict[str, float | bool]:
    return {
        "expected": round(outcome.expected, 6),
        "computed": round(outcome.computed, 6),
        "passed": outcome.passed,
    }
