"""Copies of the repository, as for the tests of the workflow."""

from workflow.conftest import fresh_checkout

__all__ = ["fresh_checkout"]
