"""What is wrong with a data set: one module per check, and the registry that lists them."""
