"""Adapters that write an index from a data set, and the generator of the demo data set."""
