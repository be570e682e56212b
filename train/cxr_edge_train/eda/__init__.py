"""Exploration: one page that shows what a cleaned data set holds before anything is trained."""
