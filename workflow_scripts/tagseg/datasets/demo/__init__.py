"""The generated demo data set, in the form of a VOC devkit.

May import: runtime, storage and the modules of datasets.
"""
