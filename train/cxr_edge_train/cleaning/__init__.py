"""From a folder of images to clean metadata: what is kept, left out, or looks wrong."""
