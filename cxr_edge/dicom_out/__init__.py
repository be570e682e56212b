"""Answers as DICOM: a picture that every viewer shows, and a structured report."""
