"""Figures with their uncertainty, and the choices that are made on validation."""
