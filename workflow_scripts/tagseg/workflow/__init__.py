"""What the Snakefile calls: configuration, code digests, input listings, verification.

May import: all other packages.
"""
