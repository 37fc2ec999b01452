"""Checkpoints of trained networks: a state dict, and a description that rebuilds the network."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.files import LastingStream, atomic_file
from tagseg.torch_files import NotData, read_data, state_dict

TYPES = (torch.float32, torch.float64, torch.int32, torch.int64, torch.bool)
"""What parameters and buffers of a network consist of; torch would convert others, without a word."""

Settings = TypeVar("Settings")
Network = TypeVar("Network", bound=nn.Module)


def save_checkpoint(path: str | Path, model: nn.Module, description: dict) -> None:
    """Write a network's state dict and a JSON-like description that rebuilds it, atomically."""
    with atomic_file(path) as aside, LastingStream(aside) as stream:
        torch.save({"description": description, "model": model.state_dict()}, stream)


def load_checkpoint(path: str | Path) -> tuple[dict, dict[str, Tensor]]:
    """Return the description and the state dict of a checkpoint of ours.

    Raises TagsegError where the file is missing, damaged, holds anything but data, or holds a value that is
    not finite; OSError where the machine cannot read it: to train again would cost all epochs.
    """
    try:
        description, content = _parts(read_data(path))
        state = state_dict(content, path)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such checkpoint; train the network first") from None
    except NotData as error:
        raise _not_ours(path, error) from None
    for key, value in state.items():
        if value.dtype not in TYPES:
            raise _not_ours(path, f"{key} is {value.dtype}")
    if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise TagsegError(f"{path}: holds values that are not finite; delete it and train again")
    return description, state


def _parts(content: object) -> tuple[dict, object]:
    """Return the description and the state of what a checkpoint holds. Raises NotData where it has none."""
    if not isinstance(content, dict) or content.keys() != {"description", "model"}:
        raise NotData("not a description and a state")
    description = content["description"]
    if not isinstance(description, dict) or not _are_texts(description.get("masks", [])):
        raise NotData("its description is malformed")
    return description, content["model"]


def _are_texts(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(text, str) for text in content)


def _not_ours(path: str | Path, reason: object) -> TagsegError:
    return TagsegError(f"{path}: not a checkpoint of tagseg ({reason}); delete it and train again")


def load_settings(
    path: str | Path, kind: str, classes: tuple[str, ...], form: type[Settings]
) -> tuple[Settings, dict[str, Tensor]]:
    """Return the settings, of the dataclass `form`, and the state dict of a `kind` of network.

    Their `weights` are None, whatever the file says: the state holds all, and no other file is to be opened.
    Raises TagsegError where the checkpoint is damaged, or none of such a network of these classes.
    """
    description, state = load_checkpoint(path)
    if description.get("kind") != kind or description.get("classes") != list(classes):
        raise TagsegError(f"{path}: not a {kind} of these classes; delete it and train again")
    settings = description.get("settings")
    types = {field.name: field.type for field in fields(form)}
    if not isinstance(settings, dict) or settings.keys() != types.keys():
        raise _not_ours(path, f"its settings are not those of a {kind}")
    for name, value in settings.items():
        if not _is_of(value, types[name]):
            raise _not_ours(path, f"its setting {name} has another type")
    return replace(form(**settings), weights=None), state


def _is_of(value: object, kind: type) -> bool:
    """Say whether a setting has the type of its field; whole numbers are numbers, true and false are not."""
    accepted = int | float if kind is float else kind
    return isinstance(value, accepted) and not isinstance(value, bool)


def rebuilt(
    build: Callable[[Settings, int], Network],
    settings: Settings,
    classes: int,
    state: dict[str, Tensor],
    path: str | Path,
) -> Network:
    """Return the network that `build` makes of settings, filled from the checkpoint `path`, to evaluate.

    Raises TagsegError where there is no such network, or the state is of another.
    """
    try:
        model = build(settings, classes)
    except (TagsegError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise _not_ours(path, f"no network can be built of it, {reason}") from None
    fill(model, state, path)
    return model.eval()


def fill(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load the state dict of the checkpoint `path`. Raises TagsegError where it is of another network."""
    for key, value in model.state_dict().items():
        if key in state and state[key].dtype != value.dtype:
            raise another_network(path, f"{key} is {state[key].dtype}, not {value.dtype}")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise another_network(path, str(error).splitlines()[-1].strip()) from None


def another_network(path: str | Path, reason: str) -> TagsegError:
    """Return the error that says that the checkpoint `path` has the weights of another network."""
    return TagsegError(f"{path}: weights of another network ({reason[:200]}); delete it and train again")
