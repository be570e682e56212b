"""Keras classifiers that were trained outside cxr-edge: reading them, and making runs of them."""
