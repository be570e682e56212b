"""Scoring an archive with Ray: millions of films on one machine or many, results as Parquet.

``listing.py`` says what INPUT names, ``results.py`` what the output holds, ``backlog.py`` what is
left to do. ``films.py`` reads a film from anywhere, ``worker.py`` scores a batch and writes it,
``pipeline.py`` runs the workers on Ray Data, and ``cluster.py`` joins Ray or starts it.
"""
