"""Checkpoints of trained networks: a state dict, and a description that rebuilds the network."""

from pathlib import Path

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.files import atomic_file


def save_checkpoint(path: str | Path, model: nn.Module, description: dict) -> None:
    """Write a network's state dict and a JSON-like description that rebuilds it, atomically."""
    with atomic_file(path) as aside:
        torch.save({"description": description, "model": model.state_dict()}, aside)


def load_checkpoint(path: str | Path) -> tuple[dict, dict[str, Tensor]]:
    """Return the description and the state dict of a checkpoint of ours.

    Raises TagsegError where the file is missing, holds anything but data, or holds a value that is not
    finite.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        description, state = checkpoint["description"], checkpoint["model"]
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such checkpoint; train the network first") from None
    except Exception as error:  # torch.load raises whatever the bytes make its readers raise
        raise TagsegError(
            f"{path}: not a checkpoint of tagseg ({error}); delete it and train again"
        ) from None
    if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise TagsegError(f"{path}: holds values that are not finite; delete it and train again")
    return description, state
