"""Intervals, ranking, paired tests and operating points, independent of files and models."""
