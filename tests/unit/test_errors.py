"""The tree of errors, and how complaints are shown."""

import pytest

from pingpy import errors
from pingpy.errors import Complaint, ConfigError, Severity, Source


def test_a_complaint_shows_place_message_source_line_caret_and_help():
    complaint = Complaint(
        'unknown key "lisen" in [network]',
        'did you mean "listen"?',
        file="config.toml",
        line=14,
        column=3,
        source_line="  lisen = []",
        width=5,
    )
    assert complaint.render() == (
        'config.toml:14:3: unknown key "lisen" in [network]\n'
        "      lisen = []\n"
        "      ^~~~~\n"
        '  help: did you mean "listen"?'
    )


def test_the_caret_stands_under_its_character_behind_tabs():
    complaint = Complaint("no", file="f", line=1, column=3, source_line="\tax = 1", width=1)
    assert complaint.render().splitlines()[1:] == ["    \tax = 1", "    \t ^"]


def test_a_warning_says_so_and_one_without_a_line_names_only_the_file():
    complaint = Complaint("odd", severity=Severity.WARNING, file="f")
    assert complaint.render() == "f: warning: odd"


def test_twenty_complaints_are_shown_and_the_rest_counted():
    error = ConfigError([Complaint(f"wrong {n}", file="f") for n in range(23)])
    lines = str(error).splitlines()
    assert lines[19] == "f: wrong 19"
    assert lines[20:] == ["... and 3 more"]
    assert len(error.complaints) == 23


def test_a_complaint_for_machines_has_the_dotted_key():
    complaint = Complaint(
        "no", "do", file="f", line=2, column=1, path=("proxy", "rules", 1, "path")
    )
    assert complaint.as_json() == {
        "severity": "error",
        "file": "f",
        "line": 2,
        "column": 1,
        "key": "proxy.rules[1].path",
        "message": "no",
        "help": "do",
    }


@pytest.mark.parametrize(
    ("name", "source", "status", "retry"),
    [
        ("BadRequest", Source.DOWNSTREAM, 400, False),
        ("ClientGone", Source.DOWNSTREAM, 499, False),
        ("ClientTimeout", Source.DOWNSTREAM, 408, False),
        ("ConnectFailed", Source.UPSTREAM, 502, True),
        ("ConnectTimeout", Source.UPSTREAM, 504, True),
        ("TlsFailed", Source.UPSTREAM, 502, False),
        ("UpstreamTimeout", Source.UPSTREAM, 504, False),
        ("UpstreamClosed", Source.UPSTREAM, 502, False),
        ("BadResponse", Source.UPSTREAM, 502, False),
        ("InternalError", Source.INTERNAL, 500, False),
    ],
)
def test_each_leaf_answers_whose_fault_what_the_client_sees_and_may_we_retry(
    name, source, status, retry
):
    error = getattr(errors, name)("why")
    assert (error.source, error.status, error.retry) == (source, status, retry)
    assert isinstance(error, errors.ProxyError)


def test_a_leaf_can_be_told_otherwise():
    error = errors.BadRequest("head too large", status=431, retry=True)
    assert repr(error) == "<BadRequest downstream 431, may be retried: head too large>"
