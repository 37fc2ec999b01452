"""Provenance: every output holds the digest of the network or the patterns that made it.

Snakemake goes by time stamps and parameters and cannot see that a file was copied from another run. A stage
that reads several outputs compares their provenance before it computes anything.
"""

from collections.abc import Mapping
from pathlib import Path

from tagseg.runtime.errors import TagsegError


def common_provenance(origins: Mapping[str | Path, str], what: str) -> str:
    """Return the one origin of several outputs by path, "" without outputs.

    Raises TagsegError that names two outputs with different origins; `what` names their source.
    """
    pairs = iter(origins.items())
    first, origin = next(pairs, ("", ""))
    for path, other in pairs:
        if other != origin:
            raise TagsegError(f"{path}: from another {what} than {first}. Delete both and run again.")
    return origin
