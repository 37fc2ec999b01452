"""One training loop for the classifier and the segmenter, on one device or several.

Each process takes its part of a batch, in micro-batches if memory is short; the gradient is that of the whole batch.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tagseg.models.backbones import Network
from tagseg.runtime.commandline import progress
from tagseg.runtime.devices import autocast
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.signals import SignalFlag, signals_blocked, signals_noted
from tagseg.training.augmentation import TrainingSet
from tagseg.training.distributed import data_parallel, gathered, gradients_stay_local, processes, summed
from tagseg.training.epochs import EpochBatches, EpochSoFar, clear_loader_errors, obey_parent_only
from tagseg.training.losses import Loss
from tagseg.training.optimizer import build_optimizer, freeze, poly_schedule, set_training_mode
from tagseg.training.pooled import PooledSet
from tagseg.training.resume import Resume, random_state, set_random_state
from tagseg.training.settings import TrainingSettings

log = logging.getLogger(__name__)

STEPS_BETWEEN_CHECKS = 20
"""Steps on a GPU between checks of the loss; a check waits for the GPU."""


class Training:
    """A model with its optimizer and schedule, and its progress: epoch, `so_far` in it, `log` rows.

    `workers` is the number of processes that load images; 0: this one does.
    """

    def __init__(
        self,
        model: Network,
        data: TrainingSet | PooledSet,
        loss: Loss,
        settings: TrainingSettings,
        where: torch.device,
        workers: int = 0,
    ) -> None:
        self.settings, self.data, self.loss, self.where = settings, data, loss, where
        self.model: Network = model.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(model.backbone, settings.frozen)
        self.optimizer = build_optimizer(model, settings)
        self.batches = EpochBatches(len(data), settings.batch_size, data.random_seed)
        steps = settings.epochs * len(self.batches)
        self.schedule = poly_schedule(self.optimizer, steps, settings.poly_power)
        self.epoch, self.so_far = 0, EpochSoFar()
        self.log: list[dict[str, Any]] = []
        set_training_mode(model, settings)  # before data_parallel, which has to know what is frozen
        self._network = data_parallel(self.model, settings, data.random_seed, where)
        self._loader = DataLoader(
            data,
            batch_sampler=self.batches,
            num_workers=workers,
            pin_memory=where.type == "cuda",
            persistent_workers=workers > 0,
            worker_init_fn=obey_parent_only,
        )

    def run(self, state_file: Path, identity: str) -> list[dict[str, Any]]:
        """Train to the last epoch; return a log row per epoch. Resumes from `state_file` if the identity matches.

        The state is saved after every epoch; in a single process also after the step in which SIGTERM or SIGINT
        arrives, then JobInterrupted is raised. Raises TagsegError if the loss is not finite or a process that
        loads images is killed.
        """
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        resume = Resume(state_file, identity, self.where, parts)
        self._resume(resume)
        # Several processes would have to agree on a step: there a signal ends each at once.
        with signals_noted() if processes() == 1 else contextlib.nullcontext(SignalFlag()) as signal:
            while self.epoch < self.settings.epochs and not signal:
                self._advance(signal, resume)
        return self.log

    def _resume(self, resume: Resume) -> None:
        if state := resume.load():
            self.epoch, self.so_far, self.log = state
            step = f", step {self.so_far.steps} of {len(self.batches)}" if self.so_far.steps else ""
            log.info("resumed after epoch %d%s", self.epoch, step)
        if len(set(gathered((self.epoch, self.so_far.steps)))) > 1:
            raise TagsegError(f"{resume.path}: not readable by every process. Use a shared folder and run again.")

    def _advance(self, signal: SignalFlag, resume: Resume) -> None:
        """Train to the end of the epoch, or until a signal arrives, and save the state."""
        self._train_epoch(signal)
        ended = self.so_far.steps == len(self.batches)
        message = self._end_epoch() if ended else self._stop_epoch()
        resume.save(self.epoch, self.so_far, self.log)
        log.info(message)

    def _train_epoch(self, signal: SignalFlag) -> None:
        """Take the remaining steps of the epoch, or those until a signal arrives."""
        set_training_mode(self.model, self.settings)
        self.batches.epoch, self.batches.first = self.epoch, self.so_far.steps
        left = len(self.batches) - self.so_far.steps
        started = time.perf_counter()
        with clear_loader_errors():
            for images, targets in progress(self._loaded(), f"epoch {self.epoch + 1}", left):
                images, targets = (part.to(self.where, non_blocking=True) for part in (images, targets))
                step = self.so_far.steps
                loss = self._step(images, targets, self.batches.has_own(step))
                self.so_far.add(loss * self.batches.size_of(step))
                if signal:
                    break
        self.so_far.seconds += time.perf_counter() - started

    def _loaded(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the remaining batches of the epoch.

        A loader takes a random number when it starts: in every epoch, or in the first only if its processes persist.
        A resumed one must not take another.
        """
        random = random_state(self.where)
        with signals_blocked():  # the loading processes keep it so: torch starts threads in them at once
            batches = iter(self._loader)
        if self.so_far.steps or (self._loader.persistent_workers and self.epoch):
            set_random_state(random, self.where)
        return batches

    def _stop_epoch(self) -> str:
        """Check the epoch so far; return a message."""
        self._check(self.so_far.loss)
        return f"saved after epoch {self.epoch}, step {self.so_far.steps} of {len(self.batches)}"

    def _end_epoch(self) -> str:
        """Add the epoch's log row and begin the next epoch; return a message."""
        total = summed(self.so_far.loss)
        self._check(total)
        row = {
            "epoch": self.epoch + 1,
            "loss": total.item() / len(self.data),
            "head_lr": self.schedule.get_last_lr()[-1],
            "seconds": self.so_far.seconds,
        }
        self.log.append(row)
        self.epoch, self.so_far = self.epoch + 1, EpochSoFar()
        return "epoch {epoch}: loss {loss:.4f}, {seconds:.1f} s".format(**row)

    def _check(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            text = f"the loss is {loss.item()} in epoch {self.epoch + 1}. Lower these learning rates."
            raise TagsegError(f"training.backbone_lr, training.head_lr: {text}")

    def _step(self, images: Tensor, targets: Tensor, counts: bool) -> Tensor:
        """Take one step; return this process's part of the batch's mean loss, without gradient.

        Images that do not count pass through the network, as the other processes expect, with weight 0.
        """
        self.optimizer.zero_grad(set_to_none=True)
        size = self.settings.micro_batch or len(images)
        parts = list(zip(images.split(size), targets.split(size), strict=True))
        mean, weight = torch.zeros((), device=self.where), None
        for number, (part, labels) in enumerate(parts, start=1):
            last = number == len(parts)
            with contextlib.nullcontext() if last else gradients_stay_local(self._network):
                with autocast(self.where, self.settings.precision):
                    scores = self._network(part)
                if weight is None:  # all parts have the same grid
                    weight = summed(self.loss.weight(targets, scores.shape) * counts).clamp(min=1)
                loss = self.loss.total(scores.float(), labels) * counts / weight
                (loss * processes()).backward()  # gradients are averaged over processes, not summed
            mean += loss.detach()
        if self.where.type == "cpu" or self.schedule.last_epoch % STEPS_BETWEEN_CHECKS == 0:
            self._check(mean)
        self.optimizer.step()
        self.schedule.step()
        return mean
