"""From a folder of images to clean metadata, splits by patient, and decoded pixels."""
