"""The command line of cxr-edge; see :mod:`cxr_edge.cli`."""
