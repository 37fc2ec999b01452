"""The method: class patterns by PCA, their orientation by CAM, the choice of the layer, Algorithm 1.

May import: runtime, storage.
"""
