"""Transfers that go on where they were cut, from a server on this machine that misbehaves as told."""

import fcntl
import hashlib
import json
import random
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from tagseg import download as module
from tagseg.download import check_md5, download
from tagseg.errors import TagsegError

CONTENT = random.Random(3).randbytes(300_000)
REMEDY = "put the archive there yourself"


def md5_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.file`, as its other attributes say; `server.seen` holds the ranges asked for."""

    def do_GET(self):
        file = self.server.file
        self.server.seen.append(self.headers.get("Range"))
        if file.statuses:
            self.send_error(file.statuses.pop(0))
        elif self.path == "/moved":
            self.redirect(file.moved_to)
        elif self.asks_for_the_rest() and self.start() >= len(file.content):
            self.send_error(416)
        else:
            self.send_file(self.start() if self.asks_for_the_rest() else 0)

    def redirect(self, place):
        self.send_response(301)
        self.send_header("Location", place)
        self.end_headers()

    def start(self):
        return int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])

    def asks_for_the_rest(self):
        file, condition = self.server.file, self.headers.get("If-Range")
        unchanged = condition is None or condition in (file.tag, file.date)
        return bool(self.headers.get("Range")) and file.ranges and unchanged

    def send_file(self, start):
        file = self.server.file
        self.send_response(206 if start else 200)
        headers = {"Content-Type": file.form, "ETag": file.tag, "Last-Modified": file.date}
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
        content=CONTENT, form="application/x-tar", tag='"one"', date=None, ranges=True, sized=True,
        cuts=[], statuses=[], moved_to="/file",
    )  # fmt: skip
    made.seen, made.url = [], f"http://127.0.0.1:{made.server_port}/file"
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def fetch(server, path, content=CONTENT, url=None):
    download(url or server.url, md5_of(content), path, REMEDY)


def cut_off(server, path, at=120_000):
    """Leave a part of `at` bytes: all connections end there until the transfer is given up."""
    server.file.cuts = [at] * (len(module.PAUSES) + 2)
    with pytest.raises(TagsegError, match="run again later, which goes on"):
        fetch(server, path)
    assert part_of(path).stat().st_size == at and not path.exists()
    server.file.cuts, server.seen[:] = [], []


def part_of(path):
    return path.with_name(f"{path.name}.part")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("sized", [True, False])
def test_a_file_arrives_whole_and_alone(server, tmp_path, sized):
    server.file.sized = sized
    fetch(server, tmp_path / "deep" / "a.tar")
    assert (tmp_path / "deep" / "a.tar").read_bytes() == CONTENT
    assert names_in(tmp_path / "deep") == ["a.tar"]


def test_the_log_tells_the_progress_in_a_few_lines(server, tmp_path, capsys):
    fetch(server, tmp_path / "a.tar")
    lines = [line for line in capsys.readouterr().err.splitlines() if "MiB" in line]
    assert lines == [f"a.tar, MiB: {count} of 30" for count in range(3, 31, 3)]


def test_a_dropped_connection_is_taken_up_again(server, tmp_path):
    server.file.cuts = [100_000, 100_000, 250_000]
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert server.seen == [None, "bytes=100000-", "bytes=100000-", "bytes=250000-"]


def test_progress_makes_up_for_failures(server, tmp_path):
    server.file.cuts = [end for end in range(10_000, 300_000, 10_000) for _ in module.PAUSES]
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "tag, date", [('"one"', None), (None, "Wed, 21 Oct 2015 07:28:00 GMT"), (None, None)]
)
def test_the_next_run_goes_on(server, tmp_path, tag, date):
    server.file.tag, server.file.date = tag, date
    cut_off(server, tmp_path / "a.tar")
    fetch(server, tmp_path / "a.tar")
    assert server.seen == ["bytes=120000-"]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert names_in(tmp_path) == ["a.tar"]


def test_an_interruption_leaves_the_part(server, tmp_path, monkeypatch):
    def interrupted(transfer, chunk):
        write(transfer, chunk)
        if transfer.part.tell() >= 50_000:
            raise KeyboardInterrupt

    write = module._Transfer._write
    monkeypatch.setattr(module._Transfer, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(server, tmp_path / "a.tar")
    monkeypatch.setattr(module._Transfer, "_write", write)
    assert part_of(tmp_path / "a.tar").read_bytes() == CONTENT[:50_000]
    fetch(server, tmp_path / "a.tar")
    assert server.seen == [None, "bytes=50000-"]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_whole_part_only_wants_its_checksum(server, tmp_path):
    cut_off(server, tmp_path / "a.tar")
    part_of(tmp_path / "a.tar").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.tar")
    assert server.seen == []
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.file.ranges = False
    cut_off(server, tmp_path / "a.tar")
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize("change", [{"tag": '"two"'}, {"tag": None}, {"content": b"new" * 99_999}])
def test_a_changed_file_starts_over(server, tmp_path, change):
    if "content" in change:
        server.file.tag = None  # the length alone tells
    cut_off(server, tmp_path / "a.tar")
    new = change.setdefault("content", CONTENT[::-1])
    vars(server.file).update(change)
    fetch(server, tmp_path / "a.tar", new)
    assert (tmp_path / "a.tar").read_bytes() == new
    assert server.seen[0] == "bytes=120000-" and server.seen[1:] in ([], [None])


def test_a_part_that_is_too_long_starts_over(server, tmp_path):
    cut_off(server, tmp_path / "a.tar")
    part_of(tmp_path / "a.tar").write_bytes(CONTENT + b"more")
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_weak_tags_do_not_vouch_for_the_bytes(server, tmp_path):
    server.file.tag, server.file.date = 'W/"one"', "Wed, 21 Oct 2015 07:28:00 GMT"
    cut_off(server, tmp_path / "a.tar")
    notes = json.loads((tmp_path / "a.tar.part.json").read_text())
    assert notes == {"url": server.url, "validator": server.file.date, "size": len(CONTENT)}


@pytest.mark.parametrize("notes", ["{", "[]", "{}", None])
def test_a_part_of_unknown_origin_starts_over(server, tmp_path, notes):
    cut_off(server, tmp_path / "a.tar")
    part_of(tmp_path / "a.tar").write_bytes(b"x" * 1000)
    if notes is None:
        (tmp_path / "a.tar.part.json").unlink()
    else:
        (tmp_path / "a.tar.part.json").write_text(notes)
    fetch(server, tmp_path / "a.tar")
    assert server.seen == [None]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_another_mirror_starts_over(server, tmp_path):
    cut_off(server, tmp_path / "a.tar")
    fetch(server, tmp_path / "a.tar", url=server.url + "?mirror")
    assert server.seen == [None]


def test_a_wrong_checksum_is_told_and_does_not_poison_the_next_run(server, tmp_path):
    server.file.content = CONTENT[::-1]
    with pytest.raises(TagsegError) as caught:
        fetch(server, tmp_path / "a.tar")
    for part in (server.url, md5_of(CONTENT), md5_of(CONTENT[::-1]), "was deleted", REMEDY):
        assert part in str(caught.value)
    assert names_in(tmp_path) == []
    server.file.content = CONTENT
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_passing_faults_of_the_server_are_waited_for(server, tmp_path):
    server.file.statuses = [503, 429]
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_lasting_faults_of_the_server_end_in_a_message(server, tmp_path):
    server.file.statuses = [503] * 3
    with pytest.raises(TagsegError, match=f"the server answers 503 .*run again later.*{REMEDY}"):
        fetch(server, tmp_path / "a.tar")
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [404, 403, 410, 416])
def test_what_will_not_pass_is_told_at_once(server, tmp_path, status):
    server.file.statuses = [status] * 9
    with pytest.raises(TagsegError, match=f"{server.url}: the server answers {status} .*{REMEDY}"):
        fetch(server, tmp_path / "a.tar")
    assert len(server.seen) == 1 and names_in(tmp_path) == []


@pytest.mark.parametrize("form", ["text/html; charset=utf-8", "application/x-tar"])
def test_a_web_page_is_not_an_archive(server, tmp_path, form):
    server.file.form, server.file.content = form, b"\n<!DOCTYPE html><html>Log in</html>"
    with pytest.raises(TagsegError, match=f"a web page came, where an archive is expected.*{REMEDY}"):
        fetch(server, tmp_path / "a.tar")
    assert names_in(tmp_path) == []


def test_a_refused_connection_is_told(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.tar"
        with pytest.raises(TagsegError, match=f"the server refuses the connection.*{REMEDY}"):
            fetch(server, tmp_path / "a.tar", url=url)


def test_an_unknown_host_is_told(tmp_path, server, monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TagsegError, match=f"http://nowhere.invalid/a: no such host.*{REMEDY}"):
        fetch(server, tmp_path / "a.tar", url="http://nowhere.invalid/a")


def test_a_silent_server_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.tar"
        with pytest.raises(TagsegError, match="no answer .*timed out.*run again later"):
            fetch(server, tmp_path / "a.tar", url=url)


def test_redirections_are_followed(server, tmp_path):
    fetch(server, tmp_path / "a.tar", url=server.url.replace("/file", "/moved"))
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "place, message",
    [
        ("file:///etc/hostname", "Redirection to url 'file:.*' is not allowed"),
        ("ftp://127.0.0.1/a", "unknown url type: ftp"),
        ("/moved", "infinite loop"),
    ],
)
def test_redirections_lead_to_the_web_alone(server, tmp_path, place, message):
    server.file.moved_to = place
    with pytest.raises(TagsegError, match=f"(?i){message}.*{REMEDY}"):
        fetch(server, tmp_path / "a.tar", url=server.url.replace("/file", "/moved"))
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "file:///a", "a.tar", "", "http://", "http://a b/", "http://a:x/", "http://[/", "http://ä/"]
)  # fmt: skip
def test_only_addresses_of_the_web_are_taken(tmp_path, url):
    with pytest.raises(TagsegError, match=f"not an http or https address; {REMEDY}"):
        download(url, "0" * 32, tmp_path / "a.tar", REMEDY)
    assert names_in(tmp_path) == []


def test_passwords_do_not_get_into_messages(tmp_path):
    with pytest.raises(TagsegError, match="example.org: addresses with a user name") as caught:
        download("https://me:secret@example.org/a", "0" * 32, tmp_path / "a.tar", REMEDY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("md5", ["", "0" * 31, "G" * 32, "A" * 32, "0" * 64])
def test_what_is_no_checksum_is_told(tmp_path, md5):
    with pytest.raises(TagsegError, match="not an md5 sum"):
        download("http://example.org/a", md5, tmp_path / "a.tar", REMEDY)


def test_a_full_disk_is_told_beforehand(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=299_999))
    with pytest.raises(TagsegError, match=f"{tmp_path}: a.tar needs 0.0 GB, .* fetch.folder"):
        fetch(server, tmp_path / "a.tar")
    assert names_in(tmp_path) == []


def test_only_the_rest_has_to_fit_on_the_disk(server, tmp_path, monkeypatch):
    cut_off(server, tmp_path / "a.tar")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=180_000))
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").exists()


def test_an_archive_put_there_by_hand_is_checked_and_not_fetched(server, tmp_path):
    (tmp_path / "a.tar").write_bytes(CONTENT)
    fetch(server, tmp_path / "a.tar")
    assert server.seen == [] and names_in(tmp_path) == ["a.tar"]


def test_a_wrong_archive_put_there_by_hand_is_told_and_kept(server, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"other")
    with pytest.raises(TagsegError) as caught:
        fetch(server, tmp_path / "a.tar")
    for part in ("a.tar: has the md5 sum", md5_of(b"other"), md5_of(CONTENT), "delete it, or put"):
        assert part in str(caught.value)
    assert server.seen == [] and (tmp_path / "a.tar").read_bytes() == b"other"


def test_two_processes_do_not_write_one_part(server, tmp_path):
    with open(part_of(tmp_path / "a.tar"), "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TagsegError, match="a.tar: another process is fetching it"):
            fetch(server, tmp_path / "a.tar")
    fetch(server, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


def test_the_lock_of_a_part_that_was_just_named_is_none(tmp_path):
    with open(tmp_path / "a.tar.part", "ab") as part:
        (tmp_path / "a.tar.part").rename(tmp_path / "a.tar")
        assert not module._locked(part)


def test_check_md5_names_the_file_and_both_sums(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    check_md5(tmp_path / "a", md5_of(b"a"), "")
    with pytest.raises(
        TagsegError, match=f"/a: has the md5 sum {md5_of(b'a')}, where {md5_of(b'b')} is .*; so"
    ):
        check_md5(tmp_path / "a", md5_of(b"b"), "so")
