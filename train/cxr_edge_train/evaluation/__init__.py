"""How good a model is: metrics with their uncertainty, predictions and plots."""
