"""What the tool says of a bundle beside every result, and how it reads out a bundle's own words.

The notice is the tool's, whatever a bundle holds. What whoever made a bundle wrote is quoted, so
that it cannot be taken for a line of the tool.
"""

import json
from typing import TYPE_CHECKING

from cxr_edge_runtime.counting import counted

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.manifest import Manifest

# Characters that count as letters and show nothing: enough of them begin a new line on a terminal.
_BLANKS = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")

# As many characters as a line of the manifest may have.
_LONGEST = 2000


def notice_of(bundle: "Bundle") -> str:
    """The tool's notice, with a bundle's model and of whose films that was made."""
    from cxr_edge_runtime.bundle.manifest import NOTICE

    manifest = bundle.manifest
    model = f"{manifest.name} {manifest.version} ({bundle.digest[:12]})"
    return f"{NOTICE} Model: {model}, {made_with(manifest)}"


def made_with(manifest: "Manifest") -> str:
    """Of whose films a model was made, in words."""
    if manifest.ages is None:
        return "trained on films of people of unstated age"
    return f"trained on films of people aged {manifest.ages}"


def rejection(manifest: "Manifest") -> str:
    """Which limits the model missed when it was converted; empty where it was not rejected."""
    if not manifest.is_rejected:
        return ""
    record = manifest.verification
    reasons = f" ({own_words('; '.join(record.failures))})" if record else ""
    return (
        f"bundle {manifest.name}: its model missed an accuracy limit when it was converted{reasons}"
    )


def quoted(text: str) -> str:
    """A bundle's text in quotation marks, those within it escaped, on one line of plain spaces."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text.translate(_BLANKS))
    line = " ".join(printable.split())
    if len(line) > _LONGEST:
        line = f"{line[:_LONGEST]}…"
    return json.dumps(line, ensure_ascii=False)


def own_words(text: str) -> str:
    """A bundle's text as what the bundle says, not the tool."""
    return f"the bundle says: {quoted(text)}"


def locator_lines(manifest: "Manifest") -> list[str]:
    """The lung locator, as a line for a terminal; none where the model is shown whole films."""
    locator = manifest.locator
    if locator is None:
        return []
    size = manifest.files[locator.file].bytes
    return [
        f"locator    {locator.file}, {size:,} bytes; the model gets the box of the lungs, enlarged "
        f"{locator.margin:g} times in width and height"
    ]


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
        f"{name} {drop:.4f} ({images} of {counted(n, 'image')} net, limit {limit:g})"
        for name, drop, images, n, limit in drops
    )
    return [
        f"lost       {lost}, AUC {loss.auc_drop:.4f} (limit {limits.auc_drop:g}) against float; "
        f"agreement {loss.agreement:.4f} ({loss.changed} of {loss.images} changed, limit "
        f"{limits.agreement:g}); recall drop at most "
        f"{loss.recall_drop_bound:.4f} (one-sided 95% bound)",
        *(f"looser     {own_words(words)}" for words in record.looser),
        *(f"rejected   {own_words(words)}" for words in record.failures),
        *(f"warning    {own_words(words)}" for words in record.warnings),
    ]
