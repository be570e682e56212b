"""The lung locator: a small network that outlines the lungs, trained on masks."""
