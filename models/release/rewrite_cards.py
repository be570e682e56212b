"""Write the cards of the shipped bundles again, after their text was changed.

    python models/release/rewrite_cards.py

The figures are those of docs/results/cards/NAME/figures.json. Only MODEL_CARD.md and its digest in
bundle.json change; the digest of a bundle, which pages show in what `classify` prints, changes with
them.
"""

import json

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle
from publish import RESULTS, publish


def main() -> None:
    """Write the card of each shipped bundle and print the new digests."""
    for name in cxr_edge_models.names():
        bundle = Bundle.load(cxr_edge_models.path(name))
        figures = json.loads((RESULTS / "cards" / name / "figures.json").read_text("utf-8"))
        publish(bundle, bundle.manifest, figures, bundle.path)
        print(name, Bundle.load(bundle.path).digest[:12])


if __name__ == "__main__":
    main()
