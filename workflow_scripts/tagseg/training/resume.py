"""The state beside a checkpoint, from which an interrupted training resumes with the same bits."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tagseg.models.weights import weights_files
from tagseg.storage.files import LastingStream, atomic_file, digest
from tagseg.storage.index import INDEX_FILES
from tagseg.storage.torch_files import NotData, read_data
from tagseg.training.distributed import gathered, is_main, rank
from tagseg.training.epochs import EpochSoFar
from tagseg.training.settings import ClassifierStage, SegmenterStage

log = logging.getLogger(__name__)

Random = dict[str, Tensor]


def fingerprint(stage: ClassifierStage | SegmenterStage, index: Path, code: str, files: Sequence[Path] = ()) -> str:
    """Return a digest of everything a training depends on; a state with another one is not resumed.

    That is its settings, the folder `index`, a user's file of weights, the `code` digest, and further `files`.
    """
    read: list[str | Path] = [*(index / name for name in INDEX_FILES), *weights_files(stage.network.weights), *files]
    content = [stage.model_dump(), [digest(file) for file in read], code]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def resumable_state(checkpoint: str | Path) -> Iterator[Path]:
    """Yield the path of the state beside `checkpoint`; it is removed when the block ends without error."""
    state = Path(f"{checkpoint}.resume")
    yield state
    if is_main():
        state.unlink(missing_ok=True)


class Resume:
    """Saves and restores the progress of a training: `parts` are the model, the optimizer and the schedule."""

    def __init__(self, path: Path, identity: str, where: torch.device, parts: dict[str, Any]) -> None:
        self.path, self.identity, self.where, self.parts = path, identity, where, parts

    def save(self, epoch: int, so_far: EpochSoFar, rows: list[dict[str, Any]]) -> None:
        """Write the state, with the random generators of every process; the first process alone writes."""
        random = gathered(random_state(self.where))
        if not is_main():
            return
        content = {"identity": self.identity, "epoch": epoch, "so_far": vars(so_far), "log": rows, "random": random}
        content |= {name: part.state_dict() for name, part in self.parts.items()}
        with atomic_file(self.path) as aside, LastingStream(aside) as stream:
            torch.save(content, stream)

    def load(self) -> tuple[int, EpochSoFar, list[dict[str, Any]]] | None:
        """Restore the parts; return epoch, progress in it and log rows, or None if training starts from the beginning.

        A damaged or incomplete state costs the epochs, not the run. Raises OSError if the file cannot be read
        now: starting from the beginning would cost all epochs.
        """
        try:
            return self._restore(read_data(self.path))
        except FileNotFoundError:
            return None
        except (NotData, _Incomplete) as error:
            log.warning("%s: %s. Training starts from the beginning.", self.path, error)
            return None

    def _restore(self, state: Any) -> tuple[int, EpochSoFar, list[dict[str, Any]]] | None:
        expected = {"identity", "epoch", "so_far", "log", "random", *self.parts}
        if not isinstance(state, dict) or state.keys() != expected:
            raise _Incomplete("not a training state of tagseg, or incomplete")
        if state["identity"] != self.identity:
            log.info("%s: saved with other settings, data or code. Training starts from the beginning.", self.path)
            return None
        if len(state["log"]) != state["epoch"]:
            raise _Incomplete(f"expected {state['epoch']} log rows, found {len(state['log'])}")
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        so_far = EpochSoFar(**state["so_far"])
        if not is_main():  # the loss sum of a run with one process counts once
            so_far.loss = torch.zeros_like(so_far.loss)
        if rank() < len(state["random"]):  # more processes than before: the new ones keep their own generators
            set_random_state(state["random"][rank()], self.where)
        return state["epoch"], so_far, state["log"]


class _Incomplete(Exception):
    """A state lacks something."""


def random_state(where: torch.device) -> Random:
    """Return the state of the random generators that dropout uses."""
    cuda = {"cuda": torch.cuda.get_rng_state(where)} if where.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def set_random_state(state: Random, where: torch.device) -> None:
    """Set the random generators that dropout uses."""
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and where.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), where)
