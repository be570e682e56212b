"""What a bundle carries beside its model: gate, self-test and validation predictions."""
