"""The user's own images: a table of labels or one folder per class.

May import: runtime, storage and the modules of datasets.
"""
