"""A cleaning report as JSON, written out, so that tests hold the format and not a class."""

from typing import Any


def report(
    kept: list[tuple[str, str, int]],
    *,
    patients: tuple[str, ...] = (),
    near: int = 0,
    features: dict[str, float] | None = None,
    verdict: str = "none",
) -> dict[str, Any]:
    """One duplicate more than was kept of each ``(split, label, count)``; a leak if of patients."""
    aucs = {
        name: {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 100}
        for name, value in (features or {}).items()
    }
    return {
        "format": 1,
        "flow": [
            {
                "split": split,
                "label": label,
                "found": count + 3,
                "readable": count + 1,
                "unique": count,
                "kept": count,
            }
            for split, label, count in kept
        ],
        "near_duplicates": [
            {
                "first": f"a{i}.png",
                "second": f"b{i}.png",
                "correlation": 0.998,
                "across_splits": False,
                "across_labels": i == 0,
            }
            for i in range(near)
        ],
        "leaks": {
            "verdict": "leak" if patients else "none",
            "patients": list(patients),
            "exact": [],
            "near": [],
            "words": "Words about leaks.",
        },
        "shortcuts": {
            "verdict": verdict,
            "limit": 0.65,
            "auc": next(iter(aucs.values()), None),
            "by_feature": aucs,
            "words": "Words about shortcuts.",
        },
    }
