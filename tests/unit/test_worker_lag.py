"""Noticing a blocked loop and finding who blocks it."""

from worker.lag import LagWatch, culprit

KEPT = []


def frame_of(file, function="slow_filter"):
    made = {}
    exec(compile(f"def {function}():\n    yield\n", file, "exec"), made)
    suspended = made[function]()  # its frame has no callers, unlike a running one's
    next(suspended)
    KEPT.append(suspended)
    return suspended.gi_frame


def test_a_punctual_loop_says_nothing():
    watch = LagWatch(0.5)
    assert watch.mark(1.0, 1.0) == ""
    assert watch.mark(2.4, 2.0) == ""
    assert not watch.blocked(3.0, 1.0)


def test_a_loop_is_not_blocked_before_its_first_mark():
    assert not LagWatch(0.5).blocked(1000.0, 1.0)


def test_a_blocking_line_is_named_once_and_again_at_the_end():
    watch = LagWatch(0.5)
    watch.mark(1.0, 1.0)
    assert watch.blocked(2.6, 1.0)
    text = watch.accuse(frame_of("/srv/filters/auth.py"), 2.6, 1.0)
    assert text == (
        "the event loop has been blocked for 0.6 s by slow_filter (/srv/filters/auth.py:2)"
    )
    assert not watch.blocked(3.0, 1.0)
    assert watch.mark(5.0, 2.0) == (
        "the event loop runs again after 3.0 s, blocked by slow_filter (/srv/filters/auth.py:2)"
    )
    assert watch.mark(6.0, 6.0) == ""


def test_a_block_that_was_over_before_anybody_looked_is_still_told():
    watch = LagWatch(0.5)
    watch.mark(1.0, 1.0)
    assert watch.mark(3.0, 2.0) == "the event loop was blocked for 1.0 s"


def test_without_user_code_the_innermost_frame_is_named():
    library = "/usr/lib/python3/site-packages/threading.py"
    assert culprit(frame_of(library, "wait")) == f"wait ({library}:2)"
    assert culprit(None) == "pingpy itself"
