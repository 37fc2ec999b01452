"""Download and unpacking of published archives.

May import: runtime and storage.
"""
