"""Rules that are never reached, and rules that only seem so."""

import pytest

from pingpy.config.load import examine
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError


def verdict(first, second):
    """What is said about the second of two rules, given as their conditions."""
    text = "".join(f'[[proxy.rules]]\nupstream = "http://a"\n{rule}\n' for rule in (first, second))
    try:
        findings = examine(ConfigSource("c", text.encode())).findings
    except ConfigError as error:
        (complaint,) = error.complaints
        assert complaint.message == "the rule can never match: rule 1 has the same conditions"
        return "dead"
    assert {f.path for f in findings} <= {("proxy", "rules", 1)}
    return "shadowed" if findings else "alive"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "", "dead"),
        ('path = "/a"', 'path = "/a"', "dead"),
        ('host = "A.com"', 'host = "a.com"', "dead"),
        ('header = "X-A"', 'header = "x-a"', "dead"),
        ('header = "A: 1"', 'header = "A"\nheader_value = "1"', "dead"),
        ("", 'path = "/a"', "shadowed"),
        ('path = "/*"', 'path = "/a"', "shadowed"),
        ('path = "/a/*"', 'path = "/a/b"', "shadowed"),
        ('path = "/a*"', 'path = "/a/*"', "shadowed"),
        ('path = "/*/x/*"', 'path = "/a/x/b"', "shadowed"),
        ('path = ["/a", "/b"]', 'path = "/b"', "shadowed"),
        ('path = ["/a*", "/b*"]', 'path = ["/a1", "/b1"]', "shadowed"),
        ('host = "*.a.com"', 'host = "x.a.com"', "shadowed"),
        ('host = "*.a.com"', 'host = "x.a.com"\npath = "/y"', "shadowed"),
        ('host = "a.*"', 'host = "a.com"', "shadowed"),
        ('header = "A"', 'header = ["B", "A"]', "shadowed"),
        ('method = ["GET", "HEAD"]', 'method = "GET"', "shadowed"),
        ('query = "q"', 'query = ["q", "r"]\npath = "/x"', "shadowed"),
        ('path = "/a/*"', 'path = "/a"', "alive"),
        ('path = "/a/*"', 'path = "/*"', "alive"),
        ('path = "/a"', 'path = ["/a", "/b"]', "alive"),
        ('path = "/a"', "", "alive"),
        ('path = "/a*"', 'path = "/*a"', "alive"),
        ('host = "*.a.com"', 'host = "a.com"', "alive"),
        ('host = "a.com"', 'host = "b.com"', "alive"),
        ('method = "GET"', "", "alive"),
        ('method = "GET"', 'method = ["GET", "POST"]', "alive"),
        ('header = "A: 1"', 'header = "A: 2"', "alive"),
        ('header = "A: 1"', 'header = "A"', "alive"),
        ('header = ["A", "B"]', 'header = "A"', "alive"),
        ('query = "q=1"', 'query = "q"', "alive"),
        ('path = "/a*"\nmethod = "GET"', 'path = "/ab"', "alive"),
    ],
)
def test_the_second_of_two_rules(first, second, expected):
    assert verdict(first, second) == expected


def test_ten_thousand_rules_are_searched_by_their_keys_and_not_each_with_each():
    rules = "".join(
        f'[[proxy.rules]]\nupstream = "http://a"\nheader = "X-Tenant: {number}"\n'
        for number in range(10_000)
    )
    text = rules + '[[proxy.rules]]\nupstream = "http://a"\nheader = ["X-Tenant: 777", "X-B"]\n'
    (finding,) = examine(ConfigSource("c", text.encode())).findings
    assert finding.message == "the rule is shadowed: rule 778 matches all its requests"
