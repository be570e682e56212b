"""Intervals, ranks, paired tests and calibration; they know no file and no model."""
