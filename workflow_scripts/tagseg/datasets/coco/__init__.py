"""COCO 2017: images and tags from its instances, and ground-truth masks made from them.

May import: runtime, storage and the modules of datasets.
"""
