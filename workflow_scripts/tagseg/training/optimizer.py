"""Parameter groups and their learning rates."""

from collections.abc import Sequence

import torch
from torch.optim.lr_scheduler import LambdaLR

from tagseg.models.backbones import Backbone, Network, freeze_batch_norm
from tagseg.runtime.errors import TagsegError
from tagseg.training.settings import TrainingSettings


def freeze(backbone: Backbone, prefixes: Sequence[str]) -> None:
    """Stop training the modules of the backbone named by `prefixes` ("blocks.0", "layer1", ...).

    Raises TagsegError for a prefix that names no module.
    """
    for prefix in prefixes:
        try:
            backbone.network.get_submodule(prefix).requires_grad_(False)
        except AttributeError:
            raise TagsegError(f"frozen: no module {prefix!r} in the backbone. Correct the name.") from None


def set_training_mode(model: Network, settings: TrainingSettings) -> None:
    """Set the model to training, except batch norms and modules that are frozen: their statistics stay."""
    model.train()
    if settings.batch_norm == "frozen":
        freeze_batch_norm(model.backbone)
    for prefix in settings.frozen:
        model.backbone.network.get_submodule(prefix).eval()


def build_optimizer(model: Network, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return the optimizer: the backbone and the head's `pretrained` layers at `backbone_lr`, the rest at `head_lr`."""
    pretrained = [parameter for layer in getattr(model.head, "pretrained", ()) for parameter in layer.parameters()]
    known = {id(parameter) for parameter in pretrained}
    backbone = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    new = [parameter for parameter in model.head.parameters() if id(parameter) not in known]
    groups = [{"params": backbone + pretrained, "lr": settings.backbone_lr}, {"params": new, "lr": settings.head_lr}]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=settings.weight_decay)
    return torch.optim.Adam(groups, weight_decay=settings.weight_decay)


def poly_schedule(optimizer: torch.optim.Optimizer, steps: int, power: float) -> LambdaLR:
    """Return the schedule that multiplies the rates by (1 - step / steps) ** power."""
    return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps) ** power)
