"""Plots, palettes, figures and the page of results.

May import: runtime, storage, models, patterns and evaluation.
"""
