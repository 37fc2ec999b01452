"""Parameter groups and their learning rates."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from tagseg.models.backbones import Backbone, Network, freeze_batch_norm
from tagseg.runtime.errors import TagsegError
from tagseg.training.settings import TrainingSettings


def freeze(backbone: Backbone, frozen: Sequence[str]) -> None:
    """Stop training the modules of the backbone that `frozen` names ("blocks.0", "layer1", ...), or "all".

    Raises TagsegError for a name of no module.
    """
    for module in _frozen_modules(backbone, frozen):
        module.requires_grad_(False)


def _frozen_modules(backbone: Backbone, frozen: Sequence[str]) -> list[nn.Module]:
    if frozen == "all":
        return [backbone.network]
    modules = dict(backbone.network.named_modules())
    if unknown := [name for name in frozen if name not in modules]:
        raise TagsegError(f"frozen: no module {unknown[0]!r} in the backbone. Correct the name.")
    return [modules[name] for name in frozen]


def set_training_mode(model: Network, settings: TrainingSettings) -> None:
    """Set the model to training, except batch norms and modules that are frozen: their statistics stay."""
    model.train()
    if settings.batch_norm == "frozen":
        freeze_batch_norm(model.backbone)
    for module in _frozen_modules(model.backbone, settings.frozen):
        module.eval()


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
