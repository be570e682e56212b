"""Figures and self-contained pages in one style, for exploration, evaluation and comparison."""
