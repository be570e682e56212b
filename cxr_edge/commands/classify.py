def classify() -> None:
    """x."""
