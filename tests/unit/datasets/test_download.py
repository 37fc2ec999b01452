"""Downloads with resume, from a local server that can fail in many ways."""

import gzip
import random
import re
import socket
import threading
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from tagseg.datasets.fetch import download as module
from tagseg.datasets.fetch.download import download
from tagseg.runtime.errors import TagsegError

CONTENT = random.Random(3).randbytes(300_000)
MD5 = md5(CONTENT).hexdigest()
REMEDY = "put the archive there yourself"


class Handler(BaseHTTPRequestHandler):
    """Serves `server.file`, as its other attributes demand; `server.seen` lists the requested ranges."""

    def do_GET(self):
        file = self.server.file
        self.server.seen.append(self.headers.get("Range"))
        if file.statuses:
            self.send_error(file.statuses.pop(0))
        elif self.path == "/moved":
            self.send_response(301)
            self.send_header("Location", file.moved_to)
            self.end_headers()
        else:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and file.ranges else 0
            self.send_file(file, start) if start < len(file.content) else self.send_error(416)

    def send_file(self, file, start):
        self.send_response(206 if start else 200)
        headers = {"Content-Type": file.form, "Content-Encoding": file.encoding}
        if file.sized:
            headers["Content-Length"] = str(len(file.content) - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(file.content) - 1}/{len(file.content)}"
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        end = file.cuts.pop(0) if file.cuts else len(file.content)
        self.wfile.write(file.content[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(module, "CHUNK", 10_000)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.file = SimpleNamespace(
        content=CONTENT, form="application/x-tar", ranges=True, sized=True,
        cuts=[], statuses=[], moved_to="/file", encoding=None,
    )  # fmt: skip
    made.seen, made.url = [], f"http://127.0.0.1:{made.server_port}/file"
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def fetch(server, path, content=CONTENT, url=None):
    download(url or server.url, md5(content).hexdigest(), path, REMEDY)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("sized", "suffix"), [(True, "tar"), (False, "tar"), (True, "tgz")])
def test_a_file_is_downloaded(server, tmp_path, sized, suffix):
    server.file.sized, path = sized, tmp_path / "deep" / f"a.{suffix}"
    if suffix == "tgz":  # a server may mark it as compressed in transfer, which a client would undo
        server.file.content, server.file.encoding = gzip.compress(CONTENT, mtime=0), "gzip"
    fetch(server, path, server.file.content)
    assert path.read_bytes() == server.file.content and names_in(tmp_path / "deep") == [path.name]


def test_a_dropped_connection_is_resumed(server, tmp_path):
    server.file.cuts, server.file.statuses = [100_000, 100_000, 250_000], [503, 429]
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert server.seen == [None] * 3 + ["bytes=100000-", "bytes=100000-", "bytes=250000-"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("size", [120_000, len(CONTENT)])
def test_the_next_run_resumes_or_starts_over(server, tmp_path, ranges, size):
    server.file.cuts = [size] * (len(module.PAUSES) + 2)
    if size < len(CONTENT):
        with pytest.raises(TagsegError, match="Run again to resume"):
            fetch(server, tmp_path / "a.tar")
    else:
        (tmp_path / "a.tar.part").write_bytes(CONTENT)
    assert (tmp_path / "a.tar.part").stat().st_size == size and names_in(tmp_path) == ["a.tar.part"]
    server.file.cuts, server.file.ranges, server.seen[:] = [], ranges, []
    fetch(server, tmp_path / "a.tar")
    assert server.seen == [f"bytes={size}-"] and names_in(tmp_path) == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_part_of_another_file_is_deleted_and_the_next_run_succeeds(server, tmp_path):
    (tmp_path / "a.tar.part").write_bytes(b"x" * 1000)
    with pytest.raises(TagsegError, match=f"expected {MD5}. It was deleted. Run again"):
        fetch(server, tmp_path / "a.tar")
    assert names_in(tmp_path) == []
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "attempts"), [(503, 3), (404, 1), (None, 1)])
def test_failures_of_the_server_and_web_pages_are_reported(server, tmp_path, status, attempts):
    server.file.statuses = [status] * 9 if status else []
    server.file.form, server.file.content = "text/html; charset=utf-8", b"<html>Log in</html>"
    reason = f"{server.url}: {status} .*Run again to resume, or" if status else "a web page, not an archive.*"
    with pytest.raises(TagsegError, match=f"{reason} {REMEDY}"):
        fetch(server, tmp_path / "a.tar")
    assert len(server.seen) == attempts and names_in(tmp_path) == []


def test_a_silent_server_a_refused_connection_and_a_full_disk_are_reported(tmp_path, server, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.tar"
        with pytest.raises(TagsegError, match="timed out.*Run again to resume"):
            fetch(server, tmp_path / "a.tar", url=url)
    with pytest.raises(TagsegError, match=f"(?i)connection refused.*{REMEDY}"):
        fetch(server, tmp_path / "a.tar", url=url)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=299_999))
    with pytest.raises(TagsegError, match=f"{tmp_path}: a.tar.part needs 0.0 GB, .* fetch.folder"):
        fetch(server, tmp_path / "a.tar")
    assert names_in(tmp_path) == []


def test_redirections_are_followed_to_web_addresses_only(server, tmp_path):
    fetch(server, tmp_path / "a.tar", url=server.url.replace("/file", "/moved"))
    server.file.moved_to = "file:///etc/hostname"
    with pytest.raises(TagsegError, match=REMEDY):
        fetch(server, tmp_path / "b.tar", url=server.url.replace("/file", "/moved"))
    assert names_in(tmp_path) == ["a.tar"]


def test_an_archive_of_the_user_is_checked_and_kept(server, tmp_path):
    (tmp_path / "a.tar").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes(b"other")
    message = f"a.tar: md5 is {md5(b'other').hexdigest()}, expected {MD5}. Delete it, or {REMEDY}"
    with pytest.raises(TagsegError, match=message):
        fetch(server, tmp_path / "a.tar")
    assert server.seen == [] and (tmp_path / "a.tar").read_bytes() == b"other"
