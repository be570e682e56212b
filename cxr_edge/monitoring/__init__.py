"""The log of predictions, and drift between what it holds and the bundle's verification."""
