"""Training several recipes, choosing one on validation, and the report of that choice."""
