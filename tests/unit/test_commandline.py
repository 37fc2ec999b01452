"""What the scripts share: errors a user can read, settings, progress in a log."""

import argparse
import sys

import pytest

from tagseg.commandline import progress, run, say, settings
from tagseg.errors import TagsegError


def test_a_users_error_is_one_line_and_exit_status_1(capsys):
    def main():
        raise TagsegError("a.jpg: no such image")

    with pytest.raises(SystemExit) as exit_:
        run(main)
    # A string as exit status is what the interpreter prints to stderr, with status 1.
    assert exit_.value.code == "error: a.jpg: no such image"


def test_a_bug_keeps_its_traceback():
    def main():
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(main)


def test_success_does_not_exit():
    called = []
    run(lambda: called.append(True))
    assert called == [True]


def test_settings_are_a_json_object():
    assert settings('{"epochs": 3, "sizes": [241, 328]}') == {"epochs": 3, "sizes": [241, 328]}


@pytest.mark.parametrize(
    "text, message",
    [("{epochs: 3}", "not valid JSON"), ("", "not valid"), ("[1]", "object"), ("3", "object")],
)
def test_malformed_settings_are_reported_by_argparse(text, message, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", type=settings)
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(["--settings", text])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_say_prints_a_line_to_stderr(capsys):
    say("epoch 1")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "epoch 1\n")


def test_progress_passes_on_every_item_with_few_lines_in_a_log(capsys):
    assert list(progress(range(1000), "features")) == list(range(1000))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"features: {count} of 1000" for count in range(100, 1001, 100)]


def test_progress_of_a_stream_with_a_known_total(capsys):
    assert list(progress(iter("abc"), "masks", total=3)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines()[-1] == "masks: 3 of 3"


def test_progress_of_a_stream_of_unknown_length_is_quiet(capsys):
    assert list(progress(iter("abc"), "masks")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_passes_on_every_item(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress([1, 2, 3], "masks")) == [1, 2, 3]


def test_no_items_no_lines(capsys):
    assert list(progress([], "masks")) == []
    assert capsys.readouterr().err == ""
