"""Networks: backbones and their nodes, the classifier, DeepLab-LargeFOV.

May import: runtime and storage.
"""
