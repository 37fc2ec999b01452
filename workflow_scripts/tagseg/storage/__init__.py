"""Files between the stages: atomic writes, images, the index, feature, CAM and mask shards, checkpoints.

May import: runtime.
"""
