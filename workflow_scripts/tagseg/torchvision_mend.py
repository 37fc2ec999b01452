"""Imports torchvision where its wheel does not fit the build of torch.

A torchvision wheel that is linked to CUDA, beside a CPU build of torch, does not find its compiled
operators and fails on import because their schemas are unknown ("operator torchvision::nms does not
exist"). tagseg uses none of these operators; declaring the missing names is enough.
"""

import importlib
import re
import sys

import torch

_MISSING = re.compile(r"operator (torchvision::\w+) does not exist")
_declared: dict[str, torch.library.Library] = {}  # a library's schemas live as long as it does


def import_torchvision() -> None:
    """Import torchvision, declaring compiled operators that are missing, each as it is asked for."""
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
    library = torch.library.Library(namespace, "FRAGMENT")
    library.define(f"{name}(Tensor input) -> Tensor")
    _declared[operator] = library
    for module in [module for module in sys.modules if module.split(".")[0] == namespace]:
        del sys.modules[module]
