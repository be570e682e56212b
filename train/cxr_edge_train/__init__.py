"""Clean a folder of chest X-rays, split it by patient, train and evaluate classifiers on it."""
