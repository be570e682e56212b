"""Models that were trained outside cxr-edge, as runs like any other."""
