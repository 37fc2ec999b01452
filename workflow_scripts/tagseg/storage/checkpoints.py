"""Checkpoints of trained networks: a state dict, and a description that rebuilds the network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tagseg.runtime.errors import TagsegError
from tagseg.runtime.settings import Settings
from tagseg.storage.files import LastingStream, atomic_file
from tagseg.storage.torch_files import NotData, read_data

Model = TypeVar("Model", bound=Settings)
Network = TypeVar("Network", bound=nn.Module)


def save_checkpoint(path: str | Path, model: nn.Module, description: dict[str, Any]) -> None:
    """Write a network's state dict and a JSON-like description that rebuilds it, atomically."""
    with atomic_file(path) as aside, LastingStream(aside) as stream:
        torch.save({"description": description, "model": model.state_dict()}, stream)


def describe(kind: str, classes: tuple[str, ...], settings: Settings) -> dict[str, Any]:
    """Return the description of a `kind` of network; it is rebuilt without any weights file."""
    return {"kind": kind, "classes": list(classes), "settings": {**settings.model_dump(), "weights": None}}


def load_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the state dict of a checkpoint.

    Raises TagsegError if the file is missing, not a checkpoint, damaged, or holds a value that is not finite;
    OSError if it cannot be read.
    """
    try:
        content = read_data(path)
        description, state = content["description"], content["model"]  # type: ignore[index]
        finite = all(torch.isfinite(value).all() for value in state.values())
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such checkpoint. Train the network first.") from None
    except (NotData, KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError):
        raise _not_ours(path) from None
    if not finite:
        raise TagsegError(f"{path}: has values that are not finite. Delete it, lower the learning rates and run again.")
    return description, state


def checkpoint_classes(path: str | Path) -> tuple[str, ...]:
    """Return the classes of a network, background first. Raises TagsegError as `load_checkpoint`."""
    description, _ = load_checkpoint(path)
    try:
        return tuple(map(str, description["classes"]))
    except (KeyError, TypeError):
        raise _not_ours(path) from None


def load_network(
    path: str | Path, kind: str, classes: tuple[str, ...], form: type[Model], build: Callable[[Model, int], Network]
) -> Network:
    """Return the network that `build` makes of a checkpoint's settings `form`, in evaluation mode.

    Raises TagsegError if the file is not a checkpoint of such a network of these classes.
    """
    description, state = load_checkpoint(path)
    try:
        if description["kind"] != kind or description["classes"] != list(classes):
            raise TagsegError(
                f"{path}: not a {kind} of these classes. Name another one, or delete a result and run again."
            )
        model = build(form.model_validate(description["settings"]), len(classes))
        model.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise _not_ours(path) from None
    return model.eval()


def _not_ours(path: str | Path) -> TagsegError:
    return TagsegError(f"{path}: not a checkpoint of tagseg, or damaged. Delete it and run again.")
