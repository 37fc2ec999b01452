"""One training loop for the classifier and the segmenter, with a state from which it resumes.

The same loop serves one device and several: processes that torchrun started each take their share of a
batch, a share may be computed in parts where memory is short, and the gradient is that of the whole batch.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from tagseg.backbones import freeze_batch_norm, share_batch_norm
from tagseg.commandline import progress, say
from tagseg.devices import autocast
from tagseg.distributed import gathered, is_main, processes, rank, summed
from tagseg.epochs import EpochBatches, Stopwatch
from tagseg.errors import TagsegError
from tagseg.files import atomic_file, digest
from tagseg.losses import Loss
from tagseg.photographs import TrainingSet

STEPS_BETWEEN_CHECKS = 20
"""On a GPU the loss is looked at once in so many steps: a look waits for all that is under way."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained; see config.yaml for the meaning of each."""

    epochs: int
    batch_size: int
    micro_batch: int | None
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

    The model has a `backbone` and a `head` (and whatever it needs without parameters): they take the
    learning rates `backbone_lr` and `head_lr`, both decayed by (1 - step / steps) ** poly_power. Layers of
    the head that it names as `pretrained` go with the backbone.
    `workers` is the number of processes that load photographs; 0: this one does.
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
        self.settings, self.data, self.loss, self.where = settings, data, loss, where
        self.model = model.to(where, memory_format=torch.channels_last)
        freeze(model.backbone, settings.frozen)
        self.optimizer = _optimizer(model, settings)
        self.batches = EpochBatches(len(data), settings.batch_size, settings.random_seed)
        self.steps = settings.epochs * len(self.batches)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: max(0.0, 1 - step / self.steps) ** settings.poly_power
        )
        self.epoch, self.log = 0, []
        self._training_mode()  # the wrapper of several processes has to know what is frozen
        self._network = self._distributed() if processes() > 1 else self.model
        self._loader = DataLoader(
            data,
            batch_sampler=self.batches,
            num_workers=workers,
            pin_memory=where.type == "cuda",
            persistent_workers=workers > 0,
        )

    def _distributed(self) -> DistributedDataParallel:
        """Return the model as one that adds up the gradients of all processes.

        Raises TagsegError where their batch norms would wait for each other in vain.
        """
        if self.settings.batch_norm == "trained" and self.settings.micro_batch:
            raise TagsegError("batch_norm: trained on several GPUs wants micro_batch: null")
        torch.manual_seed(self.settings.random_seed + rank())  # dropout is not to be the same in each
        if self.settings.batch_norm == "trained" and self.where.type == "cuda":
            self.model.backbone = share_batch_norm(self.model.backbone)
        return DistributedDataParallel(self.model, [self.where] if self.where.type == "cuda" else None)

    def run(self, state_file: Path, identity: str) -> list[dict]:
        """Train to the last epoch; return a log row an epoch. Resumes from `state_file` if it is ours.

        The state is saved after every epoch; `resumable_state` removes it. Raises TagsegError where the
        loss is not finite.
        """
        self._resume(state_file, identity)
        if len(set(gathered(self.epoch))) > 1:
            raise TagsegError(f"{state_file}: not the same to all processes; run again when all can read it")
        while self.epoch < self.settings.epochs:
            self.log.append(self._train_epoch())
            self.epoch += 1
            self._save(state_file, identity)
            say("epoch {epoch}: loss {loss:.4f}, {seconds:.1f} s".format(**self.log[-1]))
        return self.log

    def _train_epoch(self) -> dict:
        self._training_mode()
        self.batches.epoch = self.epoch
        started, waiting = time.perf_counter(), Stopwatch()
        total = torch.zeros((), dtype=torch.float64)
        loader = progress(waiting.of(self._loader), f"epoch {self.epoch + 1}", len(self.batches))
        for step, (images, targets) in enumerate(loader):
            share = (tensor.to(self.where, non_blocking=True) for tensor in (images, targets))
            loss = self._step(*share, counts=self.batches.has_share(step))
            total = total.to(self.where) + loss * self.batches.size_of(step)
        total = summed(total)
        self._check(total)
        return {
            "epoch": self.epoch + 1,
            "loss": total.item() / len(self.data),
            "head_lr": self.schedule.get_last_lr()[-1],
            "seconds": time.perf_counter() - started,
            "seconds_waiting_for_photographs": waiting.seconds,
        }

    def _check(self, loss: Tensor) -> None:
        """Raise TagsegError where the loss is not finite."""
        if not torch.isfinite(loss):
            raise TagsegError(f"the loss is {loss.item()} in epoch {self.epoch + 1}; lower the learning rate")

    def _step(self, images: Tensor, targets: Tensor, counts: bool) -> Tensor:
        """Take one step; return this share's part in the batch's mean loss, without gradient.

        A share that does not count goes through the network, as the other processes expect, and weighs 0.
        """
        self.optimizer.zero_grad(set_to_none=True)
        size = self.settings.micro_batch or len(images)
        parts = list(zip(images.split(size), targets.split(size), strict=True))
        mean, weight = torch.zeros((), device=self.where), None
        for number, (part, labels) in enumerate(parts, start=1):
            with self._adding_up(number == len(parts)):
                with autocast(self.where, self.settings.precision):
                    scores = self._network(part)
                if weight is None:  # all parts have the first one's grid
                    weight = summed(self.loss.weight(targets, scores.shape) * counts).clamp(min=1)
                loss = self.loss.total(scores.float(), labels) * counts / weight
                (loss * processes()).backward()  # the processes' gradients are averaged, not summed
            mean += loss.detach()
        if self.where.type == "cpu" or self.schedule.last_epoch % STEPS_BETWEEN_CHECKS == 0:
            self._check(mean)
        self.optimizer.step()
        self.schedule.step()
        return mean

    def _adding_up(self, last: bool) -> contextlib.AbstractContextManager:
        """Return the context in which processes wait for each other's gradients: at the last part alone."""
        alone = processes() == 1 or last
        return contextlib.nullcontext() if alone else self._network.no_sync()

    def _training_mode(self) -> None:
        self.model.train()
        if self.settings.batch_norm == "frozen":
            freeze_batch_norm(self.model.backbone)
        for prefix in self.settings.frozen:  # their batch norms' statistics do not move either
            self.model.backbone.network.get_submodule(prefix).eval()

    def _save(self, state_file: Path, identity: str) -> None:
        random = gathered(_random_state(self.where))
        if not is_main():
            return
        state = {
            "identity": identity,
            "epoch": self.epoch,
            "log": self.log,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": random,
        }
        with atomic_file(state_file) as aside:
            torch.save(state, aside)

    def _resume(self, state_file: Path, identity: str) -> None:
        """Take over the state of an interrupted run of the same identity, if there is one."""
        try:
            state = torch.load(state_file, map_location="cpu", weights_only=True)
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
        if rank() < len(state["random"]):  # with more processes than before, the new ones go on as they began
            _set_random_state(state["random"][rank()], self.where)
        self.epoch, self.log = state["epoch"], state["log"]
        say(f"resumed after epoch {self.epoch}")


def _random_state(where: torch.device) -> dict[str, Tensor]:
    """Return the state of the random generators that dropout draws from."""
    cuda = {"cuda": torch.cuda.get_rng_state(where)} if where.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _set_random_state(state: dict[str, Tensor], where: torch.device) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and where.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), where)


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
    """Return the optimizer: layers that start from ImageNet's weights, of the head too, at `backbone_lr`."""
    started = [
        parameter for layer in getattr(model.head, "pretrained", ()) for parameter in layer.parameters()
    ]
    known = {id(parameter) for parameter in started}
    backbone = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    new = [parameter for parameter in model.head.parameters() if id(parameter) not in known]
    groups = [
        {"params": backbone + started, "lr": settings.backbone_lr},
        {"params": new, "lr": settings.head_lr},
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=settings.weight_decay)
    return torch.optim.Adam(groups, weight_decay=settings.weight_decay)


@contextlib.contextmanager
def resumable_state(checkpoint: str | Path) -> Iterator[Path]:
    """Yield the path of the state beside `checkpoint`; it is removed when the block ends well."""
    state = Path(f"{checkpoint}.resume")
    yield state
    if is_main():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(state)
