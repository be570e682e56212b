def convert() -> None:
    """x."""
