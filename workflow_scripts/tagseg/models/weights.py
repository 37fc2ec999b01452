"""The weights that networks start from: ImageNet's, or a user's file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from tagseg.models.registry import architecture
from tagseg.runtime.errors import TagsegError
from tagseg.storage.torch_files import read_state

PRETRAINED = "imagenet"
"""Value of `weights` that selects the architecture's own ImageNet weights."""
_CLASSIFICATION = re.compile(r"(fc|classifier|head)\b")


@dataclass(frozen=True)
class Weights:
    """Initial parameters: their source for messages, and a state dict in the network's naming."""

    source: str
    state: Mapping[str, Tensor]


def read_weights(name: str, weights: str | None) -> Weights | None:
    """Return the weights of the architecture `name`; None for random ones.

    `weights` is "imagenet" (downloaded unless packaged or cached) or the path of a state dict in the
    architecture's naming, of any floating type. Raises TagsegError if they cannot be read.
    """
    known = architecture(name)
    if weights is None:
        return None
    if weights != PRETRAINED:
        return Weights(weights, read_state(weights))
    try:
        return Weights(weights, known.imagenet_weights())
    except TagsegError:
        raise
    except Exception as error:  # the download clients of torch and timm raise many types
        raise TagsegError(
            f"backbone {name}: cannot get its ImageNet weights ({_first_line(error)}). Set `weights` to a file "
            "(docs/networks.md lists sources), or run where there is internet."
        ) from None


def load_weights(network: nn.Module, weights: Weights) -> None:
    """Load weights into `network`, in its own floating type; the classification layer may be missing.

    Raises TagsegError if they belong to another network.
    """
    try:
        keys = network.load_state_dict(weights.state, strict=False)
    except RuntimeError as error:
        raise _another_network(weights, _first_line(error)) from None
    missing = [key for key in keys.missing_keys if not key.endswith("num_batches_tracked")]
    stages = {key.split(".")[0] for key in network.state_dict()}  # a deeper sibling has more blocks in them
    surplus = [key for key in keys.unexpected_keys if key.split(".")[0] in stages]
    wrong = [f"no {key}" for key in missing if not _CLASSIFICATION.match(key)]
    wrong += [f"unexpected {key}" for key in surplus if not _CLASSIFICATION.match(key)]
    if wrong:
        raise _another_network(weights, wrong[0])


def _another_network(weights: Weights, reason: str) -> TagsegError:
    return TagsegError(
        f"{weights.source}: does not fit the backbone ({reason}). Set `weights` to a file of this backbone."
    )


def weights_files(weights: str | None) -> list[str]:
    """Return the files that `weights` names: one, or none for random and ImageNet weights."""
    return [] if weights in (None, PRETRAINED) else [weights]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return lines[1] if len(lines) > 1 else lines[0]
