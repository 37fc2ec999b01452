"""Stages log what they count, and tests read it."""

import pytest


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level("INFO")
