"""What a bundle carries beside its model: the gate, the self-test, the reference."""
