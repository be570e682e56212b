"""The lung locator: trained, converted, and compared with what was trained."""
