"""The networks that `backbone` can name: add another here. Needs no torch, so the configuration is checked fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagseg.runtime.errors import TagsegError

if TYPE_CHECKING:
    from tagseg.models.networks import Architecture

NETWORKS = {
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), "resnet"),
    "vgg16": "vgg16",
    **dict.fromkeys((f"efficientnet_lite{n}" for n in range(3)), "efficientnet_lite"),
}
"""The function of `models/networks.py` that returns each network's Architecture."""
NAME_PATTERN = rf"^({'|'.join(NETWORKS)}|timm:[A-Za-z0-9_.]+)\z"


def architecture(name: str) -> Architecture:
    """Return the architecture `name`. Raises TagsegError if it is unknown."""
    from tagseg.models import networks

    if name.startswith("timm:"):
        return networks.timm_network(name.removeprefix("timm:"))
    if name not in NETWORKS:
        raise TagsegError(f"backbone {name!r}: unknown. Use one of {', '.join(NETWORKS)}, or timm:<name>.")
    return getattr(networks, NETWORKS[name])(name)
