"""Positions: the same paths as tomllib sees, at the right line and column."""

import tomllib
from importlib.metadata import version

import pytest

from pingpy.config.finding import Finding
from pingpy.config.locate import Positions, place_all
from pingpy.config.sections import split_sections

NASTY = '''top = 1
a.b."c d".e = [1, [2, {x = 3, y.z = [4]}], # [no.header]
  [5],
[6]
]
s = """
[not.a.header]
"""
literal = \'\'\'
[[nor.this]]
\'\'\'
[ "we ird" . x ]  # comment
k = 'v'
[[rules]]
p = "/a"
[rules.sub]
q = {m=1, n={o=[]}}
[[rules.inner]]
z=1
[[rules.inner]]
z=2
[[rules]]
\tp = "/日志/[a]"
[rules.timeouts]
x = 1979-05-27T07:32:00Z
[[rules.inner]]
z=3
[after]
'''


def paths_in(value, path=()):
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths_in(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths_in(inner, (*path, index))


@pytest.mark.parametrize("text", [NASTY, NASTY.replace("\n", "\r\n"), "", "\n", "a=1", "[a]"])
def test_every_path_that_tomllib_sees_has_a_position_and_no_other(text):
    assert Positions(text).paths() == set(paths_in(tomllib.loads(text)))


@pytest.mark.parametrize(
    ("path", "on_key", "text", "line"),
    [
        (("top",), False, "1", 1),
        (("top",), True, "top", 1),
        (("a", "b", "c d", "e", 1, 1, "y", "z", 0), False, "4", 2),
        (("a", "b", "c d", "e", 3), False, "[6]", 4),
        (("we ird", "x", "k"), False, "'v'", 13),
        (("we ird", "x"), True, '[ "we ird" . x ]', 12),
        (("rules", 0, "sub", "q", "n", "o"), True, "o", 17),
        (("rules", 0, "inner", 1, "z"), False, "2", 21),
        (("rules", 1), True, "[[rules]]", 22),
        (("rules", 1, "p"), False, '"/日志/[a]"', 23),
        (("rules", 1, "timeouts", "x"), False, "1979-05-27T07:32:00Z", 25),
        (("rules", 1, "inner", 0, "z"), False, "3", 27),
        (("rules", 1, "missing"), False, "[[rules]]", 22),
    ],
)
def test_positions_of_a_nasty_file(path, on_key, text, line):
    positions = Positions(NASTY)
    span = positions.span(path, on_key=on_key)
    assert NASTY[span.start : span.end] == text
    assert positions.place(Finding(path, "x", on_key=on_key), "f").line == line


def test_the_positions_come_from_a_version_of_tomlkit_whose_private_parser_we_know():
    # locate.py overrides two private methods of tomlkit's parser. Before the pin in pyproject.toml
    # is moved: does the test above, on the nasty file, still pass with the new version?
    assert tuple(int(part) for part in version("tomlkit").split(".")[:2]) < (0, 16)


def test_complaints_stand_in_the_order_of_the_file_and_those_without_a_place_last():
    findings = [Finding(("b",), "two"), Finding(("nowhere",), "three"), Finding(("a",), "one")]
    placed = place_all(findings, "a = 1\nb = 2\n", "f")
    assert [(c.line, c.message) for c in placed] == [(1, "one"), (2, "two"), (0, "three")]


def test_the_caret_of_a_value_of_several_lines_ends_with_its_first_line():
    (placed,) = place_all([Finding(("a",), "x")], "a = [ 1,\n 2 ]\n", "f")
    assert (placed.column, placed.width, placed.source_line) == (5, 4, "a = [ 1,")


def test_a_line_in_a_list_that_looks_like_a_header_is_none():
    text = "a = [\n[1],\n[2]\n]\n[real]\nb = 1\n"
    assert [section.path for section in split_sections(text)] == [(), ("real",)]
