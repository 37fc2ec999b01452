"""PASCAL VOC: devkit, annotations, SBD, and the archive for the test server.

May import: runtime, storage and the modules of datasets.
"""
