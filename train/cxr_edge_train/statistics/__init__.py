"""Intervals, ranks, paired tests and calibration of probabilities; they know no file and no model."""
