"""The report of a conversion.

``report.json`` holds all of it but the logits, which lie in ``predictions.csv``, and the films in
``figures/``. HTML, Markdown, CSV and the other plots are made from these, by ``convert`` and again
by ``cxr-edge report``.
"""

from cxr_edge_convert.report.rendering import render_again
from cxr_edge_convert.report.sections import verdict

__all__ = ["render_again", "verdict"]
