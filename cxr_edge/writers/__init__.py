"""Where predictions go: the terminal, a CSV file, heat maps."""
