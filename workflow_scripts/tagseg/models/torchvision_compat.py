"""Imports torchvision and timm, also if torchvision's wheel is built for CUDA and torch's for the CPU.

Such a torchvision does not find its compiled operators, and its import fails because their schemas are unknown
("operator torchvision::nms does not exist"). tagseg uses none of them, so it declares the missing names.
"""

import importlib
import re
import sys

import torch

_MISSING = re.compile(r"operator (torchvision::\w+) does not exist")
_declared: dict[str, torch.library.Library] = {}  # a schema lives as long as its library


def _import_torchvision() -> None:
    """Import torchvision; declare each missing operator when the import asks for it."""
    while True:
        try:
            importlib.import_module("torchvision")
            return
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None or missing[1] in _declared:
                raise
            _declare(missing[1])


def _declare(operator: str) -> None:
    namespace, name = operator.split("::")
    _declared[operator] = torch.library.Library(namespace, "FRAGMENT")
    _declared[operator].define(f"{name}(Tensor input) -> Tensor")
    for module in [module for module in sys.modules if module.split(".")[0] == namespace]:
        del sys.modules[module]


_import_torchvision()
import timm  # noqa: E402  (imports torchvision)
import torchvision  # noqa: E402
from timm.layers import convert_sync_batchnorm, create_feature_extractor  # noqa: E402

__all__ = ["convert_sync_batchnorm", "create_feature_extractor", "timm", "torchvision"]
