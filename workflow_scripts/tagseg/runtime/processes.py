"""Processes that train one network together, as torchrun starts them; one process without torchrun."""

import os


def by_torchrun() -> bool:
    """Return whether torchrun started this process: other launchers set RANK and WORLD_SIZE too."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Return the rank of this process, 0 if it is alone."""
    return int(os.environ["RANK"]) if by_torchrun() else 0


def processes() -> int:
    """Return how many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if by_torchrun() else 1


def is_main() -> bool:
    """Return whether this process writes the files and the log."""
    return rank() == 0
