"""Training several architectures, choosing one on validation, and the report of the choice."""
