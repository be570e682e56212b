"""Fitting one network: batches, callbacks, snapshots, distillation, and the run that results."""
