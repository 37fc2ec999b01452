"""A training of two convolutions on five images, for tests of interruptions."""

import os
import signal
from collections import OrderedDict

import pytest
import torch
from torch import nn

from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector
from tagseg.training.loop import Training
from tagseg.training.losses import TagLoss
from tagseg.training.settings import TrainingSettings

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(
    epochs=3, batch_size=2, micro_batch=None, optimizer="adam", backbone_lr=1e-3, head_lr=1e-2,
    weight_decay=1e-4, poly_power=0.9, batch_norm="frozen", frozen=[], input_size=32, scales=[0.7, 1.4],
    flip=True, precision="float32",
)  # fmt: skip


class TinyBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [("first", nn.Conv2d(3, 4, 3)), ("norm", nn.BatchNorm2d(4)), ("second", nn.Conv2d(4, 4, 1))]
        self.network = nn.Sequential(OrderedDict(layers))

    def forward(self, images):
        return self.network(images.float() / 255 - 0.5)


class TinyClassifier(nn.Module):
    """A backbone, dropout (which uses random numbers as the real networks do) and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.dropout, self.head = TinyBackbone(), nn.Dropout(0.2), nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.dropout(self.backbone(images).relu().mean(dim=(2, 3))))


class Watched(TagLoss):
    """The loss of tags with a function that sees, and may replace, each total."""

    def __init__(self, look):
        self.look = look

    def total(self, scores, targets):
        return self.look(super().total(scores, targets), targets)


def data_of(rows, settings=SETTINGS, random_seed=5):
    augmentation = Augmentation(settings.input_size, settings.scales, settings.flip)
    label = {row.id: tag_vector([number % 2 + 1], 3) for number, row in enumerate(rows)}
    return TrainingSet(rows, augmentation, random_seed, lambda row: label[row.id])


def training_of(rows, loss=None, workers=0, random_seed=5, **changes):
    settings = SETTINGS.model_copy(update=changes)
    data = data_of(rows, settings, random_seed)
    return Training(TinyClassifier(), data, loss or TagLoss(), settings, CPU, workers)


def weights_after(training, state, identity="ours"):
    torch.manual_seed(1)
    training.run(state, identity)
    return {key: value.clone() for key, value in training.model.state_dict().items()}


def assert_identical(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def signal_in_step(wanted, number=signal.SIGTERM):
    seen = []

    def look(total, tags):
        seen.append(len(tags))
        if len(seen) == wanted:
            os.kill(os.getpid(), number)
        return total

    return Watched(look)


def stopped(rows, state, step, workers=0, number=signal.SIGTERM, **changes):
    """Train until a signal in a step, counted from 1; return the training that was stopped."""
    training = training_of(rows, loss=signal_in_step(step, number), workers=workers, **changes)
    torch.manual_seed(1)
    with pytest.raises(SystemExit) as end:
        training.run(state, "ours")
    assert end.value.code == 128 + number and state.exists()
    return training
