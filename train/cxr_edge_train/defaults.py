"""Defaults that the command line shows; light to import."""

# The operating point calls at least this share of the pneumonia films PNEUMONIA.
MIN_SENSITIVITY = 0.95
# Architectures are compared by their recall where at least this share of the normal films is
# called NORMAL.
MIN_SPECIFICITY = 0.90
