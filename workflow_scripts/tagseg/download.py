"""Archives from the web: fetched in as many goes as it takes, and named only once their checksum is right.

What has come so far lies beside the target in `<name>.part`, and what it is part of in `<name>.part.json`.
urllib, not requests: the latter would unpack a .tgz that a server marks as `Content-Encoding: gzip`.
"""

import errno
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import urlsplit

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.files import read_json, write_json

TIMEOUT = 60.0  # seconds, of the connection and of each read
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before the attempts that follow one without progress
CHUNK = 2**20  # bytes

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses that may be gone the next time
_PAGES = ("text/html", "application/xhtml+xml")
_PAGE_STARTS = (b"<!doctype html", b"<html")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def download(url: str, md5: str, path: str | Path, remedy: str) -> None:
    """Fetch an http(s) address to `path`, going on with an earlier attempt's `.part` where possible.

    A file that is there already is only checked. Raises TagsegError, whose message ends with `remedy`,
    where the address, the server, the disk or the checksum is not as it should be. A `.part` stays where
    the transfer was cut, and goes where its checksum is wrong.
    """
    path = Path(path)
    _check_url(url, remedy)
    check_md5_form(md5)
    if path.exists():
        check_md5(path, md5, f"delete it, or {remedy}")
        commandline.say(f"{path}: is there already")
        return
    with _open_part(path) as part:
        transfer = _Transfer(url, path, remedy, part)
        transfer.complete()
        transfer.check(md5)
        os.replace(part.name, path)
        transfer.notes.unlink(missing_ok=True)


def _check_url(url: str, remedy: str) -> None:
    """Raise TagsegError unless `url` is one of http or https, without a password that logs would show."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or not url.isprintable() or not url.isascii() or " " in url:
        raise TagsegError(f"{url!r}: not an http or https address; {remedy}")
    if parts.username is not None:
        raise TagsegError(f"{parts.hostname}: addresses with a user name or password are not used; {remedy}")


def check_md5_form(md5: str) -> None:
    """Raise TagsegError unless `md5` is 32 hexadecimal digits, in small letters."""
    if not re.fullmatch(r"[0-9a-f]{32}", md5):
        raise TagsegError(f"{md5!r}: not an md5 sum, 32 digits of 0-9 and a-f; mend the configuration")


def check_md5(path: str | Path, md5: str, remedy: str) -> None:
    """Raise TagsegError, naming both sums, where a file's MD5 is not `md5`."""
    found = md5_of(path)
    if found != md5:
        raise TagsegError(f"{path}: has the md5 sum {found}, where {md5} is expected; {remedy}")


def md5_of(path: str | Path) -> str:
    """Return the MD5 of a file, in hexadecimal: it is what publishers of data sets state."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_free_space(folder: str | Path, size: int, what: str) -> None:
    """Raise TagsegError where `size` bytes for `what` do not fit on the disk of a folder that exists."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise TagsegError(
            f"{folder}: {what} needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; free some, or "
            "set fetch.folder to a folder on a larger disk"
        )


@contextmanager
def _open_part(path: Path) -> Iterator[BinaryIO]:
    """Yield the `.part` of a path, open to append, locked: two writers would mix their bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.part"), "ab") as part:
        if not _locked(part):
            raise TagsegError(f"{path}: another process is fetching it; run again when it has ended")
        try:
            yield part
        finally:
            if not part.tell():
                Path(part.name).unlink(missing_ok=True)
                _notes_of(path).unlink(missing_ok=True)


def _notes_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def _locked(part: BinaryIO) -> bool:
    """Lock a `.part`; say whether that worked and it is still the file of its name."""
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    try:
        return os.path.samestat(os.fstat(part.fileno()), os.stat(part.name))
    except FileNotFoundError:  # whoever held the lock has just named the whole archive
        return False


class _PassingError(Exception):
    """A failure that the next attempt may not meet."""


@dataclass(frozen=True)
class _Source:
    """Which remote file a `.part` is of: `validator` is an ETag or a date, `size` its bytes, if known."""

    url: str
    validator: str | None
    size: int | None


class _Transfer:
    """A `.part`, open to append, that becomes whole in one or more attempts."""

    def __init__(self, url: str, path: Path, remedy: str, part: BinaryIO) -> None:
        self.url, self.remedy, self.part = url, remedy, part
        self.name, self.folder = path.name, path.parent
        self.notes = _notes_of(path)

    def complete(self) -> None:
        """Append what is missing. Attempts that got further than all before are not counted."""
        failures, furthest = 0, self.part.tell()
        while True:
            try:
                return self._attempt()
            except _PassingError as error:
                failures = 0 if self.part.tell() > furthest else failures + 1
                furthest = max(furthest, self.part.tell())
                if failures > len(PAUSES):
                    self._fail(f"{error}; run again later, which goes on")
                pause = PAUSES[max(0, failures - 1)]
                commandline.say(f"{error}; new attempt in {pause:.0f} s")
            time.sleep(pause)

    def check(self, md5: str) -> None:
        """Raise TagsegError where the whole has another sum than `md5`; it goes then, for it is no start."""
        commandline.say(f"checking the md5 sum of {self.name}")
        found = md5_of(self.part.name)
        if found != md5:
            Path(self.part.name).unlink()
            self.notes.unlink(missing_ok=True)
            self._fail(f"what came has the md5 sum {found}, where {md5} is expected, and was deleted")

    def _fail(self, text: str) -> NoReturn:
        raise TagsegError(f"{self.url}: {text}; or else {self.remedy}") from None

    def _attempt(self) -> None:
        """Ask for what is missing and append it. Raises _PassingError where that was not all."""
        source = self._read_notes()
        if source is None:
            self._start_over()
        have = self.part.tell()
        if source and have and have == source.size:
            return
        with self._request(_resuming(source, have)) as response:
            if have and not _goes_on(response, source, have):
                have = self._start_over()
                if response.status != 200:
                    raise _PassingError("the remote file has changed")
            if have:
                commandline.say(f"going on at {have:,} bytes")
            else:
                source = self._write_notes(response)
            self._append(response, have, source.size)

    def _read_notes(self) -> _Source | None:
        """Return which remote file the `.part` is of, or None where it is not known to be of this address."""
        try:
            source = _Source(**read_json(self.notes))
        except (TagsegError, TypeError):
            return None
        return source if source.url == self.url else None

    def _write_notes(self, response: http.client.HTTPResponse) -> _Source:
        """Note which file a response with the whole of it brings. Weak ETags do not vouch for the bytes."""
        tag = response.headers.get("ETag")
        validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
        length = response.headers.get("Content-Length", "")
        source = _Source(self.url, validator, int(length) if length.isdigit() else None)
        write_json(self.notes, asdict(source))
        return source

    def _start_over(self) -> int:
        """Empty the `.part`; return its size, 0."""
        self.part.truncate(0)
        self.part.seek(0)
        self.notes.unlink(missing_ok=True)
        return 0

    @contextmanager
    def _request(self, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Yield the response to a GET: of status 200 or 206, or to a request for a range, 416."""
        request = urllib.request.Request(self.url, headers={"User-Agent": "tagseg", **headers})
        try:
            response = _opener().open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != 416 or not headers:
                self._refused(error)
            response = error
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            self._unreached(error)
        with response:
            if response.status != 416 and response.headers.get_content_type() in _PAGES:
                self._fail("a web page came, where an archive is expected")
            yield response

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        """Raise what an HTTP status that is not of success means."""
        error.close()
        text = f"the server answers {error.code} {' '.join(str(error.reason).split())}"
        if error.code in _PASSING:
            raise _PassingError(text) from None
        self._fail(text)

    def _unreached(self, error: Exception) -> NoReturn:
        """Raise what a failed connection means."""
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
            self._fail("no such host, or no connection to the internet")
        if isinstance(reason, ConnectionRefusedError):
            self._fail("the server refuses the connection")
        if isinstance(reason, (str, UnicodeError, ssl.SSLCertVerificationError, http.client.InvalidURL)):
            self._fail(str(reason))
        raise _PassingError(f"no answer ({_text(reason)})") from None

    def _append(self, response: http.client.HTTPResponse, have: int, size: int | None) -> None:
        """Append a response's body to the `have` bytes of `size`. Raises _PassingError where it is cut."""
        if size is not None:
            check_free_space(self.folder, size - have, self.name)
        total = None if size is None else -(-(size - have) // CHUNK)
        for chunk in commandline.progress(_chunks(response), f"{self.name}, MiB", total):
            if not have and chunk.lstrip()[:14].lower().startswith(_PAGE_STARTS):
                self._start_over()
                self._fail("a web page came, where an archive is expected")
            self._write(chunk)
            have += len(chunk)
        if size is not None and have < size:
            raise _PassingError(f"the connection ended after {have:,} of {size:,} bytes")

    def _write(self, chunk: bytes) -> None:
        try:
            self.part.write(chunk)
            self.part.flush()
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise TagsegError(
                    f"{self.part.name}: the disk is full; free some space and run again, which goes on"
                ) from None
            raise


def _resuming(source: _Source | None, have: int) -> dict[str, str]:
    """Return the headers that ask for what comes after `have` bytes, of the same remote file only."""
    if not have or source is None:
        return {}
    condition = {"If-Range": source.validator} if source.validator else {}
    return {"Range": f"bytes={have}-", **condition}


def _goes_on(response: http.client.HTTPResponse, source: _Source, have: int) -> bool:
    """Say whether a response holds the bytes after the `have` first ones of the same remote file."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if response.status != 206 or not found or int(found[1]) != have:
        return False
    return found[2] == "*" or source.size in (None, int(found[2]))


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener of http and https alone: redirections lead to neither ftp nor files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body. Raises _PassingError where the connection breaks; what came before counts."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except http.client.IncompleteRead as error:
            yield error.partial
            raise _PassingError("the connection ended early") from None
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(f"the connection broke ({_text(error)})") from None
        if not chunk:
            return
        yield chunk


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
