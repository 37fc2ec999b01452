"""Origins: the digest, in an output, of the network or the patterns that it was made with.

Snakemake goes by time stamps and parameters, and cannot see that a file was copied in from another run. A
stage that reads several outputs compares what they say of their origin before it computes anything.
"""

from collections.abc import Mapping
from pathlib import Path

from tagseg.errors import TagsegError


def common_origin(origins: Mapping[str | Path, str], what: str) -> str:
    """Return the one origin of several outputs by path; of none, "".

    Raises TagsegError, naming two outputs and `what` they do not share, where they differ.
    """
    pairs = iter(origins.items())
    first, origin = next(pairs, ("", ""))
    for path, other in pairs:
        if other != origin:
            raise TagsegError(f"{path}: of another {what} than {first}; delete both and run again")
    return origin
