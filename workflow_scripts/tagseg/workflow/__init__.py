"""What the Snakefile calls: configuration, code digests, input listings, verification.

May import: every other room.
"""
