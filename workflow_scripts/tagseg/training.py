"""One training loop for the classifier and the segmenter, with a state from which it resumes.

The same loop serves one device and several: processes that torchrun started each take their share of a
batch, a share may be computed in parts where memory is short, and the gradient is that of the whole batch.
"""

import contextlib
import copy
import hashlib
import json
import os
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
from tagseg.epochs import EpochBatches, EpochSoFar, LoaderKilled, Stopwatch, loaded
from tagseg.errors import TagsegError
from tagseg.files import LastingStream, atomic_file, digest
from tagseg.interrupts import Note, signals_noted
from tagseg.losses import Loss
from tagseg.photographs import TrainingSet
from tagseg.torch_files import NotData, read_data

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
        self.epoch, self.so_far, self.log = 0, EpochSoFar(), []
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

        The state is saved after every epoch; `resumable_state` removes it. Of one process it is also saved
        after the step in which SIGTERM or SIGINT came, and Ended is raised. Raises TagsegError where the loss
        is not finite, LoaderKilled where a process that loads photographs was killed.
        """
        self._resume(state_file, identity)
        if len(set(gathered((self.epoch, self.so_far.steps)))) > 1:
            raise TagsegError(f"{state_file}: not the same to all processes; run again when all can read it")
        # Several processes would have to agree on a step: there the signal ends each at once.
        with signals_noted() if processes() == 1 else contextlib.nullcontext(Note()) as note:
            while self.epoch < self.settings.epochs and not note:
                self._advance(note, state_file, identity)
        return self.log

    def _advance(self, note: Note, state_file: Path, identity: str) -> None:
        """Train to the end of the epoch, or until a signal is noted, and save the state."""
        killed = None
        try:
            self._train_epoch(note)
        except LoaderKilled as error:
            killed = error
        if killed and processes() > 1:  # the others are not here to save with
            raise killed
        ended = self.so_far.steps == len(self.batches)
        news = self._end_epoch() if ended else self._stop_epoch()
        self._save(state_file, identity)
        say(news)
        if killed and not note:  # a signal that was for all processes has killed the loading ones too
            raise killed

    def _train_epoch(self, note: Note) -> None:
        """Take the steps that are left of the epoch, or those until a signal is noted."""
        self._training_mode()
        self.batches.epoch, self.batches.first = self.epoch, self.so_far.steps
        waiting = Stopwatch()
        left = len(self.batches) - self.so_far.steps
        with self.so_far.timed(waiting):
            for images, targets in progress(waiting.of(self._loaded()), f"epoch {self.epoch + 1}", left):
                share = (tensor.to(self.where, non_blocking=True) for tensor in (images, targets))
                step = self.so_far.steps
                loss = self._step(*share, counts=self.batches.has_share(step))
                self.so_far.add(loss * self.batches.size_of(step))
                if note:
                    break

    def _loaded(self) -> Iterator:
        """Return the batches that are left of the epoch.

        A loader draws a number when it begins: in every epoch, or in the first one if its processes persist.
        Resumed, it draws once more than it had without the interruption.
        """
        random = _random_state(self.where)
        batches = loaded(self._loader)
        if self.so_far.steps or (self._loader.persistent_workers and self.epoch):
            _set_random_state(random, self.where)
        return batches

    def _stop_epoch(self) -> str:
        """Check the epoch so far; return a line that tells how far it is."""
        self._check(self.so_far.loss)
        return f"saved after epoch {self.epoch}, step {self.so_far.steps} of {len(self.batches)}"

    def _end_epoch(self) -> str:
        """Write the log row of the epoch and go on to the next one; return a line that tells its loss."""
        total = summed(self.so_far.loss)
        self._check(total)
        row = {
            "epoch": self.epoch + 1,
            "loss": total.item() / len(self.data),
            "head_lr": self.schedule.get_last_lr()[-1],
            "seconds": self.so_far.seconds,
            "seconds_waiting_for_photographs": self.so_far.seconds_waiting,
        }
        self.log.append(row)
        self.epoch, self.so_far = self.epoch + 1, EpochSoFar()
        return "epoch {epoch}: loss {loss:.4f}, {seconds:.1f} s".format(**row)

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
        with atomic_file(state_file, sealed=False) as aside, LastingStream(aside) as stream:
            torch.save({"identity": identity, **self._state(random)}, stream)

    def _state(self, random: list[dict[str, Tensor]]) -> dict:
        """Return what `_take_over` takes; `random` has the state of each process's random generators."""
        return {
            "epoch": self.epoch,
            "so_far": vars(self.so_far),
            "log": self.log,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": random,
        }

    def _resume(self, state_file: Path, identity: str) -> None:
        """Take over the state of an interrupted run of the same identity, if there is one.

        A damaged or malformed state costs the epochs, not the run. Raises OSError where the machine cannot
        read it now: to begin anew would cost all epochs.
        """
        try:
            state = read_data(state_file)
        except FileNotFoundError:
            return
        except NotData as error:
            say(f"{state_file}: unreadable ({error}); training starts anew")
            return
        if not isinstance(state, dict) or "identity" not in state:
            say(f"{state_file}: no state of a training; training starts anew")
        elif state["identity"] == identity and self._takes_over(state, state_file):
            step = f", step {self.so_far.steps} of {len(self.batches)}" if self.so_far.steps else ""
            say(f"resumed after epoch {self.epoch}{step}")

    def _takes_over(self, state: dict, state_file: Path) -> bool:
        """Take over a state if it is sound, and say whether it is; else everything is as it was before."""
        before = copy.deepcopy(self._state([_random_state(self.where)] * processes()))
        try:
            self._take_over(state)
        except Exception as error:  # torch raises whatever a malformed state makes it raise
            self._take_over(before)
            say(f"{state_file}: malformed ({_first_line(error)}); training starts anew")
            return False
        return True

    def _take_over(self, state: dict) -> None:
        """Go on from a state of `_state`. Raises any Exception where it is none."""
        self.epoch, self.so_far, self.log = self._progress(state)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if rank() < len(state["random"]):  # with more processes than before, the new ones go on as they began
            _set_random_state(state["random"][rank()], self.where)

    def _progress(self, state: dict) -> tuple[int, EpochSoFar, list[dict]]:
        """Return epoch, what it has come to, and log of a state. Raises any Exception where they are none."""
        epoch, so_far, log = state["epoch"], EpochSoFar(**state.get("so_far", {})), state["log"]
        for number, most in ((epoch, self.settings.epochs), (so_far.steps, len(self.batches) - 1)):
            if not isinstance(number, int) or not 0 <= number <= most:
                raise ValueError(f"{number!r}, where {most} is the most")
        if not isinstance(log, list) or len(log) != epoch:
            raise ValueError(f"a log of {epoch} epochs it has not")
        if so_far.loss.shape != () or not so_far.seconds >= 0 or not so_far.seconds_waiting >= 0:
            raise ValueError("its loss or seconds are none")
        if not is_main():  # the sum of a process that was alone is taken over once
            so_far.loss = torch.zeros_like(so_far.loss)
        return epoch, so_far, log


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
