"""Durations, sizes and other single values."""

import pytest
from pydantic_core import PydanticCustomError

from pingpy.config import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (10, 10.0),
        (0.5, 0.5),
        ("250ms", 0.25),
        ("10s", 10.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("2 h", 7200.0),
        ("1d", 86400.0),
        (0, 0.0),
    ],
)
def test_durations_are_numbers_or_have_a_unit(text, seconds):
    assert values.parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["10 parsecs", "10", "", "-1s", "1e3s", -1, True, None, [], float("nan"), float("inf"), "400d"],
)
def test_other_durations_are_refused(text):
    with pytest.raises(PydanticCustomError, match="duration"):
        values.parse_seconds(text)


@pytest.mark.parametrize("text", [0, "0s", "0ms", 0.0001])
def test_a_deadline_is_never_zero(text):
    with pytest.raises(PydanticCustomError, match="at least 1ms"):
        values.parse_positive_seconds(text)


@pytest.mark.parametrize("text", [0, "0s", 1, "7d"])
def test_a_session_may_be_resumed_for_seven_days_at_most_or_never(text):
    assert values.parse_ticket_seconds(text) == values.parse_seconds(text)


@pytest.mark.parametrize("text", ["500ms", 7 * 86400 + 1, "8d"])
def test_other_lifetimes_of_sessions_are_refused(text):
    with pytest.raises(PydanticCustomError, match="from 1s to 7d"):
        values.parse_ticket_seconds(text)


@pytest.mark.parametrize("text", [1024, "1KiB", "1MiB"])
def test_a_head_may_have_from_1_kib_to_1_mib(text):
    assert values.parse_head_bytes(text) == values.parse_bytes(text)


@pytest.mark.parametrize("text", [1023, (1 << 20) + 1, "0"])
def test_other_sizes_of_a_head_are_refused(text):
    with pytest.raises(PydanticCustomError, match="from 1KiB to 1MiB"):
        values.parse_head_bytes(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (1500, 1500),
        ("64KiB", 65536),
        ("1MiB", 1 << 20),
        ("2GiB", 2 << 30),
        ("64k", 65536),
        ("1M", 1 << 20),
        ("1 KB", 1000),
        ("1MB", 10**6),
        ("10B", 10),
        ("10", 10),
    ],
)
def test_sizes_are_numbers_or_have_a_unit(text, size):
    assert values.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["64 kilobytes", "1TiB", -1, 1.5, False, "", "1.5MiB", 1 << 60])
def test_other_sizes_are_refused(text):
    with pytest.raises(PydanticCustomError, match="size"):
        values.parse_bytes(text)


def test_log_levels_have_one_spelling():
    assert [values.parse_log_level(text) for text in ("INFO", "Warning", "warn")] == [
        "info",
        "warn",
        "warn",
    ]


def test_statuses_stand_for_numbers():
    assert values.status_set(values.parse_statuses([204, "3xx"])) == {204, *range(300, 400)}
    assert values.parse_statuses(200) == (200,)


@pytest.mark.parametrize("text", ["6xx", 99, 600, True, [], "200"])
def test_other_statuses_are_refused(text):
    with pytest.raises(PydanticCustomError, match="status"):
        values.parse_statuses(text)


@pytest.mark.parametrize("text", ["auto", 1, 512])
def test_worker_counts(text):
    assert values.parse_worker_count(text) == (None if text == "auto" else text)


@pytest.mark.parametrize("text", [0, -1, 513, "4", True, 1.0])
def test_other_worker_counts_are_refused(text):
    with pytest.raises(PydanticCustomError, match="from 1 to 512"):
        values.parse_worker_count(text)


def test_networks_may_be_words_addresses_or_cidr():
    assert values.parse_networks(["loopback", "10.0.0.0/8", "2001:db8::1"]) == (
        "loopback",
        "10.0.0.0/8",
        "2001:db8::1",
    )
    with pytest.raises(PydanticCustomError, match=r'found "10\.0\.0\.0/40"'):
        values.parse_networks("10.0.0.0/40")


def test_long_values_are_cut_in_messages_and_control_characters_made_visible():
    assert values.shown("a" * 100) == '"' + "a" * 57 + '..."'
    assert values.shown("a\r\nb") == '"a\\r\\nb"'
    assert values.shown("café 日志") == '"café 日志"'
