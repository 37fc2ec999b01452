"""The generated data set of the embedded default, in the form of a VOC devkit.

May import: runtime, storage and the modules of datasets.
"""
