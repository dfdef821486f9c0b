"""The name book: refresh, back-off, last good addresses."""

import pytest

from worker.policy.resolver_book import NameBook

NAME = "backend:8080"


def book_of(*names, now=0.0):
    book = NameBook(lambda: 0.5)
    book.want(names or (NAME,), now)
    return book


def test_a_name_is_asked_at_once_and_again_after_the_refresh_interval():
    book = book_of()
    assert book.due(0.0) == [NAME]
    assert book.due(0.0) == []
    assert not book.complete()
    lookup = book.resolved(NAME, ["192.0.2.1:8080"], 0.1)
    assert (lookup.publish, lookup.note) == (True, "")
    assert book.complete()
    assert book.answers() == {NAME: ("192.0.2.1:8080",)}
    assert book.next_due() == pytest.approx(30.1)
    assert book.due(30.2) == [NAME]
    assert book.next_due() is None


def test_ages_count_from_the_last_answer_and_a_failure_makes_nothing_younger():
    book = book_of(NAME, "never:1")
    assert book.failed("never:1", "unknown", 0.0).failed
    assert not book.resolved(NAME, ["192.0.2.1:8080"], 1.0).failed
    assert book.ages(5.0) == {NAME: 4.0}
    assert book.failed(NAME, "unknown", 31.0).failed
    assert book.ages(32.0) == {NAME: 31.0}


def test_another_order_is_no_change():
    book = book_of()
    book.resolved(NAME, ["b:1", "a:1", "a:1"], 0.0)
    lookup = book.resolved(NAME, ["a:1", "b:1"], 30.0)
    assert (lookup.publish, lookup.note) == (False, "")


def test_a_change_is_published_and_noted():
    book = book_of()
    book.resolved(NAME, ["a:1"], 0.0)
    lookup = book.resolved(NAME, ["b:1"], 30.0)
    assert lookup.publish
    assert lookup.note == "name backend:8080 now means b:1"


@pytest.mark.parametrize("empty", [True, False])
def test_the_last_good_addresses_outlive_failures(empty):
    book = book_of()
    book.resolved(NAME, ["a:1"], 0.0)
    lookup = book.resolved(NAME, [], 30.0) if empty else book.failed(NAME, "timed out", 30.0)
    assert not lookup.publish
    assert lookup.warning
    assert lookup.note.endswith("its last good addresses are kept")
    assert book.answers() == {NAME: ("a:1",)}
    again = book.resolved(NAME, ["a:1"], 31.0)
    assert (again.publish, again.note) == (False, "name backend:8080 resolves again: a:1")


def test_a_name_that_never_resolved_is_answered_with_nothing():
    book = book_of()
    assert book.answers() == {}
    lookup = book.failed(NAME, "unknown name", 0.0)
    assert lookup.publish
    assert lookup.note == (
        "name backend:8080 does not resolve (unknown name); requests for it get 502"
    )
    assert book.answers() == {NAME: ()}
    assert book.complete()
    assert repr(book) == "<NameBook names=1 without_address=1>"
    assert book.resolved(NAME, ["a:1"], 1.0).publish


def test_retries_back_off_up_to_the_refresh_interval_and_are_noted_once():
    book = book_of()
    now, distances, notes = 0.0, [], []
    for _ in range(8):
        notes.append(bool(book.failed(NAME, "no", now).note))
        distances.append(book.next_due() - now)
        now = book.next_due()
    assert distances == [1, 2, 4, 8, 16, 30, 30, 30]
    assert notes == [True] + [False] * 7


def test_names_come_and_go():
    book = book_of("a:1", "b:1")
    book.resolved("a:1", ["x:1"], 0.0)
    book.want(["a:1", "c:1"], 1.0)
    assert book.answers() == {"a:1": ("x:1",)}
    assert book.due(1.0) == ["c:1"]
    assert not book.resolved("b:1", ["y:1"], 2.0).publish
    assert not book.failed("b:1", "no", 2.0).publish
