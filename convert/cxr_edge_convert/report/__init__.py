"""The report of a conversion.

``report.json`` holds all of it but the logits, which lie in ``predictions.csv``, and the films in
``figures/``. HTML, Markdown, CSV and the other figures are made from these, by ``convert`` and
again by ``cxr-edge report``.
"""
