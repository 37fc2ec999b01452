"""Scores: the confusion matrix, mIoU, tables, and the paper's numbers.

May import: runtime and storage.
"""
