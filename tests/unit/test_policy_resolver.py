"""A worker's side of names: which are needed, and noticing a new directory."""

import json

import pytest

from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource
from worker.policy.resolver import DirectoryWatch, needed_names, parse


def test_names_are_needed_once_and_addresses_not_at_all():
    text = b"""
    [proxy]
    [[proxy.rules]]
    path = "/a"
    upstream = ["http://backend:8080", "http://192.0.2.1", "http://[2001:db8::1]:81"]
    [[proxy.rules]]
    path = "/b"
    upstream = ["http://backend:8080", "unix:/run/app.sock", "https://other"]
    """
    assert needed_names(resolve(load(ConfigSource("c.toml", text)))) == [
        "backend:8080",
        "other:443",
    ]


class Published:
    def __init__(self):
        self.version = 0
        self.blob = b""
        self.reads = 0

    def put(self, names):
        self.version += 1
        self.blob = json.dumps({"names": names}).encode()

    def read(self):
        self.reads += 1
        return self.version, self.blob


def test_a_new_version_is_handed_on_once():
    directory, updates = Published(), []
    watch = DirectoryWatch(directory, ["a:1", "b:2"], updates.append)
    watch.look()
    assert (updates, watch.complete, directory.reads) == ([], False, 0)
    directory.put({"a:1": ["192.0.2.1:1"], "foreign:1": []})
    watch.look()
    watch.look()
    assert updates == [{"a:1": ("192.0.2.1:1",), "b:2": ()}]
    assert not watch.complete
    assert directory.reads == 1
    directory.put({"a:1": ["192.0.2.1:1"], "b:2": []})
    watch.look()
    assert watch.complete
    assert len(updates) == 2


def test_without_names_the_directory_is_complete_from_the_start():
    assert DirectoryWatch(Published(), [], print).complete


def test_a_reader_that_was_outrun_tries_again_later():
    directory, updates = Published(), []
    watch = DirectoryWatch(directory, ["a:1"], updates.append)
    directory.put({"a:1": []})
    directory.read = lambda: (0, b"")
    watch.look()
    assert updates == []
    del directory.read
    watch.look()
    assert updates == [{"a:1": ()}]


@pytest.mark.parametrize("blob", [b"", b"[]", b'{"names": 3}', b'{"names": {"a": 4}}', b"\xff"])
def test_a_blob_that_makes_no_sense_is_no_answer(blob):
    assert parse(blob) == {}
