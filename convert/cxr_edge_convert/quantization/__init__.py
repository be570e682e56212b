"""INT8: which images calibrate it, the ranges, the corrections, and what stays in float."""
