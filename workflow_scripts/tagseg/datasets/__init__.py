"""One adapter per kind of data set; each writes the same index.

May import: runtime and storage.
"""
