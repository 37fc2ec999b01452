"""Resumable downloads; a file gets its final name after its checksum is verified."""

import hashlib
import logging
import os
import shutil
import time
from pathlib import Path

import requests
import urllib3

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError

log = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds, of the connection and of each read
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before the attempts that follow one without progress
CHUNK = 2**20  # bytes


def download(url: str, md5: str, path: str | Path, remedy: str) -> None:
    """Fetch `url` to `path`, resuming from the `<name>.part` of an earlier attempt. An existing file is only checked.

    Raises TagsegError, whose message ends with `remedy`, on a failure of the server or a wrong checksum.
    """
    path = Path(path)
    if path.exists():
        check_md5(path, md5, f"Delete it, or {remedy}.")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        _fetch(url, part)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TagsegError(f"{url}: {error}. Run again to resume, or {remedy}.") from None
    try:
        check_md5(part, md5, f"It was deleted. Run again, or {remedy}.")
    except TagsegError:
        part.unlink()
        raise
    os.replace(part, path)


def check_md5(path: str | Path, md5: str, remedy: str) -> None:
    """Raise TagsegError if a file's MD5, in hexadecimal, is not `md5`."""
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise TagsegError(f"{path}: md5 is {found}, expected {md5}. {remedy}")


def check_free_space(folder: str | Path, size: int, what: str) -> None:
    """Raise TagsegError if `size` bytes for `what` do not fit on the disk of a folder that exists."""
    free = shutil.disk_usage(folder).free
    if size > free:
        needed = f"{what} needs {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free"
        raise TagsegError(f"{folder}: {needed}. Free some, or set fetch.folder to a folder on a larger disk.")


def _fetch(url: str, part: Path) -> None:
    """Complete `part`. Attempts that make progress do not count towards the limit."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(url, part)
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures > len(PAUSES):
                raise
            log.warning("%s. Next attempt in %.0f s.", error, PAUSES[failures - 1])
        time.sleep(PAUSES[failures - 1])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, part: Path) -> None:
    """Append what is missing, or all where the server ignores ranges. The checksum decides whether it fits."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        status = response.status_code
        if status == 416:  # nothing is missing
            return
        if status in (408, 425, 429) or status >= 500:
            raise requests.ConnectionError(f"{status} {response.reason}")
        response.raise_for_status()
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise requests.RequestException("the server sends a web page, not an archive")
        rest = int(response.headers.get("Content-Length", 0))
        check_free_space(part.parent, rest, part.name)
        with open(part, "ab" if status == 206 else "wb") as stream:
            # Raw, because requests would unpack a .tgz that the server marks as `Content-Encoding: gzip`.
            chunks = response.raw.stream(CHUNK, decode_content=False)
            for chunk in commandline.progress(chunks, f"{part.stem}, MiB", -(-rest // CHUNK) or None):
                stream.write(chunk)
