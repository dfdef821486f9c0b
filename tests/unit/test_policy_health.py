"""The probe book: schedule, streaks, verdicts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pingpy.config.resolved import ResolvedHealthCheck
from worker.policy.health import FIRST_SPREAD_SECONDS, Flip, Mark, ProbeBook, Target


def target(address="192.0.2.1:80", *, interval=10.0, down_after=1, up_after=1, path="/"):
    check = ResolvedHealthCheck(
        "http", interval, interval, path, frozenset((200,)), down_after, up_after
    )
    return Target(address, "backend:80", False, check)


def one(*members):
    return frozenset(members or ("pool|192.0.2.1:80",))


def middle():
    return 0.5


def book_of(*targets, now=0.0, jitter=middle, down=frozenset()):
    book = ProbeBook(jitter)
    book.watch({each: one() for each in targets}, now, down)
    return book


def test_a_target_is_probed_soon_then_every_interval():
    probed = target()
    book = book_of(probed)
    assert book.next_due() == FIRST_SPREAD_SECONDS / 2
    assert book.due(0.0) == []
    assert book.due(0.2) == [probed]
    book.result(probed, None, 0.3)
    assert book.due(10.0) == []
    assert book.next_due() == pytest.approx(10.125)
    assert book.due(10.2) == [probed]


def test_one_probe_is_in_flight_per_target():
    probed = target(interval=1.0)
    book = book_of(probed)
    assert book.due(1.0) == [probed]
    assert book.due(5.0) == []
    assert book.next_due() is None
    book.result(probed, None, 6.0)
    assert book.due(6.0) == [probed]


def test_missed_probes_are_not_made_up_for():
    probed = target(interval=1.0)
    book = book_of(probed)
    book.due(100.0)
    book.result(probed, None, 100.0)
    assert book.due(100.5) == []


def test_the_first_success_is_written_once():
    probed = target()
    book = book_of(probed)
    assert book.result(probed, None, 1.0) == [Mark(one(), True)]
    assert book.result(probed, None, 11.0) == []


def test_one_failure_takes_a_peer_out_by_default_and_one_success_brings_it_back():
    probed = target()
    book = book_of(probed)
    assert book.result(probed, "status 500", 1.0) == [
        Mark(one(), False),
        Flip(probed, one(), False, "status 500", 1.0),
    ]
    assert repr(book) == "<ProbeBook targets=1 down=1>"
    assert book.result(probed, "status 500", 11.0) == []
    assert book.result(probed, None, 21.0) == [
        Mark(one(), True),
        Flip(probed, one(), True, "", 20.0),
    ]


def test_thresholds_count_results_in_a_row():
    probed = target(down_after=3, up_after=2)
    book = book_of(probed)
    verdicts = "x x . x x x . x . ."
    seen = []
    for now, verdict in enumerate(verdicts.split()):
        actions = book.result(probed, None if verdict == "." else "no", float(now))
        seen += [(now, action.up) for action in actions if isinstance(action, Flip)]
    assert seen == [(5, False), (9, True)]


def test_flips_read_as_sentences():
    probed = target(down_after=2)
    book = book_of(probed)
    book.result(probed, "refused", 1.0)
    down = book.result(probed, "refused", 11.0)[1]
    assert str(down) == "peer 192.0.2.1:80 (pool) is down after 2 failed probes: refused"
    up = book.result(probed, None, 13.5)[1]
    assert str(up) == (
        "peer 192.0.2.1:80 (pool) is up again after 1 good probe, having been down for 2.5 s"
    )


def test_a_new_member_learns_what_is_known():
    probed = target()
    book = book_of(probed)
    book.result(probed, "no", 1.0)
    both = one("pool|192.0.2.1:80", "other|192.0.2.1:80")
    assert book.watch({probed: both}, 2.0) == [Mark(one("other|192.0.2.1:80"), False)]
    assert book.watch({probed: both}, 3.0) == []


def test_nothing_is_written_for_a_new_member_before_the_first_result():
    probed = target()
    book = book_of(probed)
    assert book.watch({probed: one("a", "b")}, 0.0) == []


def test_a_target_that_an_earlier_generation_took_out_stays_out_until_it_answers():
    probed = target()
    book = book_of(probed, down=one())
    assert book.result(probed, "still no", 1.0) == []
    assert book.result(probed, None, 2.0) == [
        Mark(one(), True),
        Flip(probed, one(), True, "", 2.0),
    ]


def test_other_checks_of_one_address_are_other_targets():
    first, second = target(), target(path="/other")
    book = book_of(first, second)
    book.result(first, "no", 1.0)
    assert len(book) == 2
    assert book.result(second, None, 1.0) == [Mark(one(), True)]


def test_a_result_for_a_target_that_is_gone_is_ignored():
    probed = target()
    book = book_of(probed)
    book.due(1.0)
    book.watch({}, 2.0)
    assert book.result(probed, "no", 3.0) == []
    assert book.next_due() is None


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_the_verdict_changes_exactly_at_the_thresholds(results, down_after, up_after, starts_down):
    probed = target(down_after=down_after, up_after=up_after)
    book = book_of(probed, down=one() if starts_down else frozenset())
    up = not starts_down
    for now, good in enumerate(results):
        actions = book.result(probed, None if good else "no", float(now))
        flips = [action for action in actions if isinstance(action, Flip)]
        window = results[max(0, now + 1 - (up_after if good else down_after)) : now + 1]
        needed = up_after if good else down_after
        expect_flip = good != up and len(window) == needed and set(window) == {good}
        assert bool(flips) == expect_flip
        if expect_flip:
            up = good
            assert actions[0] == Mark(one(), up)


@given(st.floats(0, 1, exclude_max=True), st.floats(0.01, 100))
def test_the_distance_between_probes_stays_near_the_interval(chance, interval):
    probed = target(interval=interval)
    book = book_of(probed, jitter=lambda: chance)
    now = book.next_due()
    for _ in range(5):
        assert book.due(now) == [probed]
        book.result(probed, None, now)
        following = book.next_due()
        assert interval * 0.949 <= following - now <= interval * 1.051
        now = following
