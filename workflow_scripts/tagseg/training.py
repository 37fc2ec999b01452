"""One training loop for the classifier and the segmenter, with a state from which it resumes."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tagseg.backbones import freeze_batch_norm
from tagseg.commandline import progress, say
from tagseg.devices import autocast
from tagseg.errors import TagsegError
from tagseg.files import atomic_file, digest
from tagseg.photographs import TrainingSet

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained; see config.yaml for the meaning of each."""

    epochs: int
    batch_size: int
    optimizer: str
    backbone_lr: float
    head_lr: float
    weight_decay: float
    poly_power: float
    batch_norm: str
    frozen: tuple[str, ...]
    input_size: int
    scales: tuple[float, float]
    flip: bool
    precision: str
    random_seed: int


def fingerprint(settings: dict, files: Sequence[str | Path], code: str) -> str:
    """Return a digest over what a training depends on; a state of another digest is not resumed."""
    content = [settings, [digest(file) for file in files], code]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Training:
    """A model, its optimizer and schedule, and how far they are.

    The model has a `backbone` and a `head` (and whatever it needs without parameters): the two groups
    take the learning rates `backbone_lr` and `head_lr`, both decayed by (1 - step / steps) ** poly_power.
    """

    def __init__(
        self,
        model: nn.Module,
        data: TrainingSet,
        loss: Loss,
        settings: TrainingSettings,
        where: torch.device,
        workers: int = 0,
    ) -> None:
        self.settings, self.data, self.loss, self.where, self.workers = settings, data, loss, where, workers
        self.model = model.to(where, memory_format=torch.channels_last)
        freeze(model.backbone, settings.frozen)
        self.optimizer = _optimizer(model, settings)
        self.steps = settings.epochs * -(-len(data) // settings.batch_size)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: max(0.0, 1 - step / self.steps) ** settings.poly_power
        )
        self.epoch, self.log = 0, []

    def run(self, state_file: Path, identity: str) -> list[dict]:
        """Train to the last epoch; return a log row an epoch. Resumes from `state_file` if it is ours.

        The state is saved after every epoch; `resumable_state` removes it. Raises TagsegError where the
        loss is not finite.
        """
        self._resume(state_file, identity)
        while self.epoch < self.settings.epochs:
            self.log.append(self._train_epoch())
            self.epoch += 1
            self._save(state_file, identity)
            say("epoch {epoch}: loss {loss:.4f}, {seconds:.1f} s".format(**self.log[-1]))
        return self.log

    def _train_epoch(self) -> dict:
        self._training_mode()
        started, total = time.perf_counter(), 0.0
        loader = self._loader()
        for images, targets in progress(loader, f"epoch {self.epoch + 1}", len(loader)):
            total += self._step(images.to(self.where), targets.to(self.where)) * len(images)
        return {
            "epoch": self.epoch + 1,
            "loss": total / len(self.data),
            "head_lr": self.schedule.get_last_lr()[-1],
            "seconds": time.perf_counter() - started,
        }

    def _step(self, images: Tensor, targets: Tensor) -> float:
        with autocast(self.where, self.settings.precision):
            scores = self.model(images)
        loss = self.loss(scores.float(), targets)
        if not torch.isfinite(loss):
            raise TagsegError(f"the loss is {loss.item()} in epoch {self.epoch + 1}; lower the learning rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def _training_mode(self) -> None:
        self.model.train()
        if self.settings.batch_norm == "frozen":
            freeze_batch_norm(self.model.backbone)
        for prefix in self.settings.frozen:  # their batch norms' statistics do not move either
            self.model.backbone.network.get_submodule(prefix).eval()

    def _loader(self) -> DataLoader:
        """Return the epoch's batches, in an order that depends on the seed and the epoch alone."""
        order = np.random.default_rng((self.settings.random_seed, self.epoch)).permutation(len(self.data))
        return DataLoader(
            self.data,
            batch_size=self.settings.batch_size,
            sampler=[(self.epoch, int(position)) for position in order],
            num_workers=self.workers,
            pin_memory=self.where.type == "cuda",
        )

    def _save(self, state_file: Path, identity: str) -> None:
        state = {
            "identity": identity,
            "epoch": self.epoch,
            "log": self.log,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.where) if self.where.type == "cuda" else None,
        }
        with atomic_file(state_file) as aside:
            torch.save(state, aside)

    def _resume(self, state_file: Path, identity: str) -> None:
        """Take over the state of an interrupted run of the same identity, if there is one."""
        try:
            state = torch.load(state_file, map_location=self.where, weights_only=True)
        except FileNotFoundError:
            return
        except Exception as error:  # a damaged state costs the epochs, not the run
            say(f"{state_file}: unreadable ({error}); training starts anew")
            return
        if state.get("identity") != identity:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"].cpu())
        if state["cuda"] is not None and self.where.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"].cpu(), self.where)
        self.epoch, self.log = state["epoch"], state["log"]
        say(f"resumed after epoch {self.epoch}")


def freeze(module: nn.Module, prefixes: Sequence[str]) -> None:
    """Fix the parameters of the backbone's children named by `prefixes` ("blocks.0", "layer1", ...).

    Raises TagsegError where a prefix names nothing.
    """
    for prefix in prefixes:
        try:
            module.network.get_submodule(prefix).requires_grad_(False)
        except AttributeError:
            raise TagsegError(f"frozen: no module {prefix!r} in the backbone") from None


def _optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    backbone = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    groups = [
        {"params": backbone, "lr": settings.backbone_lr},
        {"params": list(model.head.parameters()), "lr": settings.head_lr},
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=settings.weight_decay)
    return torch.optim.Adam(groups, weight_decay=settings.weight_decay)


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


@contextlib.contextmanager
def resumable_state(checkpoint: str | Path) -> Iterator[Path]:
    """Yield the path of the state beside `checkpoint`; it is removed when the block ends well."""
    state = Path(f"{checkpoint}.resume")
    yield state
    with contextlib.suppress(FileNotFoundError):
        os.unlink(state)
