"""`frozen: all`: the head learns from pooled features what it would learn from the images."""

import numpy as np
import pytest
import torch
from torch import nn

from tagseg.models.classifier import Classifier
from tagseg.models.inputs import square
from tagseg.models.settings import ClassifierSettings
from tagseg.training.augmentation import tag_vector
from tagseg.training.epochs import EpochBatches
from tagseg.training.loop import Training
from tagseg.training.losses import TagLoss
from tagseg.training.pooled import SMALLEST_DEVIATION, HeadAlone, PooledSet, pooled_features
from tiny_training import CPU, SETTINGS

PLAIN = SETTINGS.model_copy(update={"frozen": "all", "scales": [1.0, 1.0], "flip": False, "input_size": 64})


@pytest.fixture
def classifier():
    torch.manual_seed(3)
    return Classifier(ClassifierSettings(backbone="resnet18", weights=None, output_stride=32), 3)


def targets(rows):
    vectors = {row.id: tag_vector([number % 2 + 1], 3) for number, row in enumerate(rows)}
    return lambda row: vectors[row.id]


def test_pooled_features_are_the_means_of_the_maps_of_both_views(rows, classifier):
    both = PLAIN.model_copy(update={"flip": True})
    pooled = pooled_features(classifier.backbone, rows, both, CPU, 1)
    assert pooled.shape == (2, len(rows), 512) and pooled.dtype == torch.float32
    for position, row in enumerate(rows):
        for view in (0, 1):
            with torch.no_grad():
                maps = classifier.backbone(square(row.read(), 64, mirrored=bool(view))[None])
            expected = maps.double().numpy()[0].mean(axis=(1, 2))
            np.testing.assert_allclose(pooled[view, position], expected, rtol=1e-4, atol=1e-6)


def test_head_learns_as_a_float64_loop_on_standardised_features_and_is_folded(rows, classifier, tmp_path):
    start = {name: value.clone() for name, value in classifier.state_dict().items()}
    features = pooled_features(classifier.backbone, rows, PLAIN, CPU, 1)
    wanted = torch.from_numpy(np.stack([targets(rows)(row) for row in rows]))
    data, model = PooledSet(features, wanted, 5), HeadAlone(classifier, features)
    log = Training(model, data, TagLoss(), PLAIN, CPU).run(tmp_path / "state", "ours")
    model.fold()

    plain = features[0].double()
    standardised = (plain - plain.mean(dim=0)) / (plain.std(dim=0, correction=0) + SMALLEST_DEVIATION)
    head = nn.Linear(512, 2, dtype=torch.float64)
    head.load_state_dict({"weight": start["head.weight"], "bias": start["head.bias"]})
    optimizer = torch.optim.Adam(head.parameters(), lr=PLAIN.head_lr, weight_decay=PLAIN.weight_decay)
    batches, steps = EpochBatches(len(rows), PLAIN.batch_size, 5), 0
    for batches.epoch in range(PLAIN.epochs):
        for batch in batches:
            positions = [position for _, position in batch]
            for group in optimizer.param_groups:
                group["lr"] = PLAIN.head_lr * (1 - steps / (PLAIN.epochs * len(batches))) ** PLAIN.poly_power
            optimizer.zero_grad()
            scores = head(standardised[positions])
            nn.functional.binary_cross_entropy_with_logits(scores, wanted[positions].double()).backward()
            optimizer.step()
            steps += 1
    found = classifier.head(features[0])
    np.testing.assert_allclose(found.detach(), head(standardised).detach(), rtol=1e-3, atol=1e-3)
    assert not torch.equal(classifier.head.weight, start["head.weight"]) and len(log) == PLAIN.epochs
    after = classifier.state_dict()
    assert all(torch.equal(after[name], start[name]) for name in start if not name.startswith("head"))


def test_views_are_drawn_by_seed_epoch_and_image(rows):
    features = torch.stack([torch.zeros(len(rows), 2), torch.ones(len(rows), 2)])
    pooled = PooledSet(features, torch.zeros(len(rows), 2), 5)
    views = [[int(pooled[epoch, position][0][0]) for position in range(len(rows))] for epoch in range(20)]
    assert 0.3 < np.mean(views) < 0.7
    assert views == [[int(pooled[epoch, position][0][0]) for position in range(len(rows))] for epoch in range(20)]
