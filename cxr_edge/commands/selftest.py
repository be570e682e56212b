"""``cxr-edge selftest``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from cxr_edge.bundles.notice import quoted, rejection
from cxr_edge.console import options
from cxr_edge.console.terminal import printable, say_if_rejected
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import LimitMissed

if TYPE_CHECKING:
    from cxr_edge_runtime.device.selftest import Answer, Outcome

# Of an answer in words.
_WIDTH = 39


def selftest(
    bundle: options.BundleArgument = None,
    engine: options.Engine = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Check that this device computes the answers that were verified.

    A bundle carries films with their answers, the golden films. Labels and verdicts of the input
    gate must be the same here, probabilities and lung boxes nearly the same.

    Exit code 4 when they differ.
    """
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge_runtime.classifier import Classifier
    from cxr_edge_runtime.device.selftest import MAX_MOVE, MAX_SHIFT, run_selftest

    loaded = load_bundle(bundle)
    say_if_rejected(loaded.manifest)
    classifier = Classifier(loaded, threads=threads, engine=engine)
    opened = classifier.engine
    golden, outcomes = run_selftest(classifier)
    largest = max(outcome.shift for outcome in outcomes)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    here = f"{opened.name}, {opened.kernels}"
    if as_json:
        content = {
            "passed": not failed,
            "engine": opened.name,
            "kernels": opened.kernels,
            "made_with": golden.made_with,
            "largest_shift": round(largest, 6),
            "films": [_as_json(outcome) for outcome in outcomes],
            "bundle": loaded.digest,
            "rejected": rejection(loaded.manifest) or None,
            "notice": loaded.manifest.notice,
        }
        typer.echo(json.dumps(content))
    else:
        films = counted(len(outcomes), "golden film")
        verdict = (
            f"FAILED: {len(failed)} of {films} do not get the verified answer on this device"
            if failed
            else f"OK: {films} get the verified answer on this device"
        )
        typer.echo(f"{verdict}; largest difference {largest:.3f}, allowed {MAX_SHIFT}")
        typer.echo(f"here       {here}\nmade with  {quoted(golden.made_with)}")
        typer.echo(f"{'expected':<{_WIDTH}}  computed")
        for outcome in outcomes:
            expected, computed = map(_in_words, (outcome.expected, outcome.computed))
            passed = "passed" if outcome.passed else "FAILED"
            if outcome.move > MAX_MOVE:
                passed += " in the box"
            typer.echo(f"{expected:<{_WIDTH}}  {computed:<{_WIDTH}}  {passed}")
        typer.echo(loaded.manifest.notice)
    if failed:
        raise LimitMissed(
            f"{len(failed)} of {len(outcomes)} golden films differ by more than {MAX_SHIFT}, in "
            f"the label, in the verdict or in the box (largest difference {largest:.3f}) with "
            f"{here}; do not use this bundle on this device"
        )


def _in_words(answer: "Answer") -> str:
    # A film near a limit of the gate may get another verdict on another device.
    verdict = ", ".join(filter(None, (answer.verdict or "any verdict", answer.orientation)))
    return printable(f"{answer.probability:.4f} {answer.label} {verdict}")


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    answers = {"expected": outcome.expected, "computed": outcome.computed}
    return {
        name: asdict(answer) | {"probability": round(answer.probability, 6)}
        for name, answer in answers.items()
    } | {"passed": outcome.passed}
