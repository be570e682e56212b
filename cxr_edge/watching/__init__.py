"""A folder whose films are classified as they come in."""
