"""From a folder of images to clean metadata: what is kept, what is left out and what is wrong."""
