"""Checkpoints of trained networks: a state dict, and a description that rebuilds the network."""

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.files import LastingStream, atomic_file


def save_checkpoint(path: str | Path, model: nn.Module, description: dict) -> None:
    """Write a network's state dict and a JSON-like description that rebuilds it, atomically."""
    with atomic_file(path) as aside, LastingStream(aside) as stream:
        torch.save({"description": description, "model": model.state_dict()}, stream)


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
            f"{path}: not a checkpoint of tagseg ({why_unread(error)}); delete it and train again"
        ) from None
    if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise TagsegError(f"{path}: holds values that are not finite; delete it and train again")
    return description, state


def why_unread(error: Exception) -> str:
    """Return in one line why torch.load failed; its advice, to load the file regardless, is not passed on."""
    if isinstance(error, pickle.UnpicklingError):
        return "damaged, or more than data, which could run as a program"
    return (str(error).splitlines() or [type(error).__name__])[0]


def fill(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load the state dict of the checkpoint `path`. Raises TagsegError where it is of another network."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise TagsegError(
            f"{path}: weights of another network ({reason[:200]}); delete it and train again"
        ) from None
