"""From images to masks: multi-scale prediction and the dense CRF.

May import: runtime, storage and models.
"""
