"""What a bundle says of itself beside every result, and of how its model was verified."""

from typing import TYPE_CHECKING

from cxr_edge_runtime.counting import counted

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.manifest import Manifest


def notice_of(bundle: "Bundle") -> str:
    """The notice of a bundle, with its model and of whose films that was made."""
    manifest = bundle.manifest
    model = f"{manifest.name} {manifest.version} ({bundle.digest[:12]})"
    return f"{manifest.notice} Model: {model}, {made_with(manifest)}"


def made_with(manifest: "Manifest") -> str:
    """Of whose films a model was made, in words."""
    if manifest.ages is None:
        return "made with films of people whose ages it does not state"
    return f"made with films of people of {manifest.ages}"


def rejection(manifest: "Manifest") -> str:
    """Which limits the model missed when it was converted; empty where it was not rejected."""
    if not manifest.is_rejected:
        return ""
    record = manifest.verification
    reasons = f" ({'; '.join(record.failures)})" if record else ""
    return (
        f"bundle {manifest.name}: its model missed a limit of accuracy when it was converted"
        f"{reasons}"
    )


def verification_lines(manifest: "Manifest") -> list[str]:
    """How the model was verified, as lines for a terminal; none where the bundle does not say."""
    record = manifest.verification
    if record is None:
        return []
    limits, loss = record.limits, record.loss
    drops = (
        ("recall", loss.recall_drop, loss.recall_lost, loss.recall_images, limits.recall_drop),
        (
            "specificity", loss.specificity_drop, loss.specificity_lost, loss.specificity_images,
            limits.specificity_drop,
        ),
    )  # fmt: skip
    lost = ", ".join(
        f"{name} {drop:.4f} ({images} of {counted(n, 'image')}, limit {limit:g})"
        for name, drop, images, n, limit in drops
    )
    return [
        f"lost       {lost}, AUC {loss.auc_drop:.4f} (limit {limits.auc_drop:g}) against float; "
        f"agreement {loss.agreement:.4f} ({loss.changed} of {loss.images} changed, limit "
        f"{limits.agreement:g}); recall drop not shown to be less than "
        f"{loss.recall_drop_bound:.4f} (one-sided, 95%)",
        *(f"looser     {words}" for words in record.looser),
        *(f"rejected   {words}" for words in record.failures),
        *(f"warning    {words}" for words in record.warnings),
    ]
