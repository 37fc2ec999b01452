"""The images of all small trainings."""

import pytest

from helpers import image_rows
from tiny_training import training_of, weights_after


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    return image_rows(tmp_path_factory.mktemp("images"), 5)


@pytest.fixture(scope="session")
def whole(rows, tmp_path_factory):
    training = training_of(rows)
    return training, weights_after(training, tmp_path_factory.mktemp("whole") / "state")
