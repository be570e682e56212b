"""The terminal: options that commands share, progress bars, tables."""
