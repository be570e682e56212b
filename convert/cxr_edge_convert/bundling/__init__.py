"""Writing bundles and the folder of a conversion."""
