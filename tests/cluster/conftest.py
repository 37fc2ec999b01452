"""A Slurm of one node, and copies of the repository as for the tests of the workflow."""

import pytest
import slurm

from workflow.conftest import fresh_checkout

__all__ = ["fresh_checkout"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    with slurm.running(folder):
        yield slurm.Cluster(folder)
