"""Turn a training run into bundles that were checked with the engine that will run them."""
