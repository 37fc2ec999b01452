"""A training of two convolutions on five photographs, to be interrupted in all ways."""

import dataclasses
import os
import signal
from collections import OrderedDict

import pytest
import torch
from torch import nn

from tagseg.losses import TagLoss
from tagseg.photographs import Augmentation, TrainingSet, tag_vector
from tagseg.training import Training, TrainingSettings

CPU = torch.device("cpu")
SETTINGS = TrainingSettings(
    epochs=3,
    batch_size=2,
    micro_batch=None,
    optimizer="adam",
    backbone_lr=1e-3,
    head_lr=1e-2,
    weight_decay=1e-4,
    poly_power=0.9,
    batch_norm="frozen",
    frozen=(),
    input_size=8,
    scales=(0.7, 1.4),
    flip=True,
    precision="float32",
    random_seed=5,
)


class TinyBackbone(nn.Module):
    """Two convolutions with batch norm, under the name that a backbone's network has."""

    def __init__(self):
        super().__init__()
        layers = [("first", nn.Conv2d(3, 4, 3)), ("norm", nn.BatchNorm2d(4)), ("second", nn.Conv2d(4, 4, 1))]
        self.network = nn.Sequential(OrderedDict(layers))

    def forward(self, images):
        return self.network(images.float() / 255 - 0.5)


class TinyClassifier(nn.Module):
    """A backbone, dropout (which draws random numbers as the real ones do) and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.dropout, self.head = TinyBackbone(), nn.Dropout(0.2), nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.dropout(self.backbone(images).relu().mean(dim=(2, 3))))


class Watched(TagLoss):
    """The loss of tags, that lets a function look at, or replace, each total."""

    def __init__(self, look):
        self.look = look

    def total(self, scores, targets):
        return self.look(super().total(scores, targets), targets)


def data_of(rows, settings=SETTINGS):
    augmentation = Augmentation(settings.input_size, settings.scales, settings.flip)
    label = {row.id: tag_vector([number % 2 + 1], 3) for number, row in enumerate(rows)}
    return TrainingSet(rows, augmentation, settings.random_seed, labels_of=lambda row: label[row.id])


def training_of(rows, loss=None, workers=0, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return Training(TinyClassifier(), data_of(rows, settings), loss or TagLoss(), settings, CPU, workers)


def weights_after(training, state, identity="ours"):
    torch.manual_seed(1)
    training.run(state, identity)
    return {key: value.clone() for key, value in training.model.state_dict().items()}


def assert_identical(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def signal_in_step(wanted, number=signal.SIGTERM):
    """A loss that sends a signal while it is computed for the wanted time, in the middle of a step."""
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
