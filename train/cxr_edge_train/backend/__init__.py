"""Keras and its backend: devices, precision, loading a model and predicting with it."""
