"""Fitting one network: batches, callbacks, snapshots, and the run that results."""
