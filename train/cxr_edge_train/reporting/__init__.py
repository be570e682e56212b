"""Figures and self-contained pages: one look for exploration, evaluation and comparison."""
