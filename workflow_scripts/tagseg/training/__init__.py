"""The training loop and what it needs: batches, augmentation, losses, several processes, resume.

May import: runtime, storage and models.
"""
