"""`frozen: all`: the head learns from pooled features what it would learn from the images."""

import numpy as np
import pytest
import torch

from tagseg.models.classifier import Classifier
from tagseg.models.inputs import square
from tagseg.models.settings import ClassifierSettings
from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector
from tagseg.training.loop import Training
from tagseg.training.losses import TagLoss
from tagseg.training.pooled import HeadAlone, PooledSet, pooled_features
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


def test_head_learns_the_same_as_with_a_frozen_backbone(rows, classifier, tmp_path):
    """Against the ordinary training of the whole classifier, which computes the features in every step."""
    start = {name: value.clone() for name, value in classifier.state_dict().items()}
    features = pooled_features(classifier.backbone, rows, PLAIN, CPU, 1)
    pooled = PooledSet(rows, PLAIN, 5, targets(rows), features)
    fast = Training(HeadAlone(classifier), pooled, TagLoss(), PLAIN, CPU).run(tmp_path / "fast", "ours")
    found = {name: value.clone() for name, value in classifier.state_dict().items()}

    classifier.load_state_dict(start)
    images = TrainingSet(rows, Augmentation(64, (1.0, 1.0), False), 5, targets(rows))
    slow = Training(classifier, images, TagLoss(), PLAIN, CPU).run(tmp_path / "slow", "ours")
    torch.testing.assert_close(found, classifier.state_dict(), rtol=1e-4, atol=1e-5)
    assert not torch.equal(found["head.weight"], start["head.weight"])
    assert all(torch.equal(found[name], start[name]) for name in start if not name.startswith("head"))
    assert [row["loss"] for row in fast] == pytest.approx([row["loss"] for row in slow], rel=1e-4)


def test_views_are_drawn_by_seed_epoch_and_image(rows):
    features = torch.stack([torch.zeros(len(rows), 2), torch.ones(len(rows), 2)])
    pooled = PooledSet(rows, PLAIN, 5, targets(rows), features)
    views = [[int(pooled[epoch, position][0][0]) for position in range(len(rows))] for epoch in range(20)]
    assert 0.3 < np.mean(views) < 0.7
    assert views == [[int(pooled[epoch, position][0][0]) for position in range(len(rows))] for epoch in range(20)]
