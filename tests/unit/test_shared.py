"""The shared memory: slabs, folds that survive a kill, the directory, series records, attaching."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pingpy.shared import LayoutMismatchError, Region, layout
from pingpy.shared.series import OVERFLOWED, other_key, render_key, walk


@pytest.fixture
def region():
    made = Region.create()
    yield made
    made.close()


def counters(region):
    """What a scrape adds up, by key: the plain and slow way."""
    found = {}
    fold = region.words[layout.H_FOLD]
    folded = fold >> 8 & 0xFFFFFF
    slabs = [region.slab(fold & 0xFF), *(s for s in region.live_slabs() if s.index != folded)]
    for slab in slabs:
        end = slab.first_word + slab.used_words
        for series in walk(region.octets, region.words, slab.first_word, end):
            if series.kind == layout.COUNTER:
                found[series.key] = found.get(series.key, 0) + region.words[series.at]
    return found


def count(region, index, key, amount=1):
    region.words[region.series_writer(index).cell(key, layout.COUNTER)] += amount


def test_nothing_overlaps_and_everything_is_aligned():
    assert layout.PAGE >= (layout.H_BANKS + layout.BANKS * layout.BANK_WORDS) * 8
    assert layout.PEERS_AT % 64 == 0
    assert layout.SLABS_AT % layout.SLAB_BYTES == 0
    assert layout.SLABS_AT >= layout.DIRECTORY_AT + layout.BANKS * 2 * layout.BUFFER_BYTES
    assert layout.SERIES_WORDS * 8 + layout.IN_FLIGHT_BYTES == layout.SLAB_BYTES
    assert layout.S_USED < layout.SLAB_ENTRY_BYTES // 8


def test_a_fresh_region_costs_next_to_no_memory(region):
    assert os.fstat(region.fd).st_size == layout.SIZE
    assert os.fstat(region.fd).st_blocks * 512 < 1 << 20


def test_claimed_slabs_are_distinct_and_say_whose_they_are(region):
    first = region.claim_slab(3, 0, "worker")
    second = region.claim_slab(3, 1, "worker")
    assert first != second
    region.slab(first).pid = 4711
    slab = region.slab(first)
    assert (slab.generation, slab.slot, slab.role, slab.pid) == (3, 0, "worker", 4711)
    assert slab.serial < region.slab(second).serial
    assert [s.index for s in region.live_slabs()] == [first, second]


def test_a_retired_slab_leaves_its_counters_and_is_used_again(region):
    index = region.claim_slab(1, 0, "worker")
    count(region, index, b"a_total", 5)
    region.retire_slab(index)
    assert counters(region) == {b"a_total": 5}
    again = region.claim_slab(2, 0, "worker")
    assert again == index
    assert region.slab(again).used_words == 0
    count(region, again, b"a_total", 2)
    assert counters(region) == {b"a_total": 7}


def test_retiring_twice_counts_once(region):
    index = region.claim_slab(1, 0, "worker")
    count(region, index, b"a_total", 5)
    region.retire_slab(index)
    region.retire_slab(index)
    assert counters(region) == {b"a_total": 5}


def test_a_retired_slabs_memory_goes_back(region):
    index = region.claim_slab(1, 0, "worker")
    writer = region.series_writer(index)
    for number in range(5000):
        region.words[writer.cell(b"long_name_%d_total" % number, layout.COUNTER)] += 1
    before = os.fstat(region.fd).st_blocks
    region._wipe(region.slab(index))
    assert os.fstat(region.fd).st_blocks < before


def test_histograms_are_folded_and_gauges_are_not(region):
    index = region.claim_slab(1, 0, "worker")
    writer = region.series_writer(index)
    at = writer.cell(b"h", layout.HISTOGRAM)
    region.words[at + 3] = 7
    region.words[writer.cell(b"g", layout.GAUGE)] = 9
    region.retire_slab(index)
    slab = region.slab(region.words[layout.H_FOLD] & 0xFF)
    end = slab.first_word + slab.used_words
    found = {s.key: s for s in walk(region.octets, region.words, slab.first_word, end)}
    assert set(found) == {b"h"}
    assert region.words[found[b"h"].at + 3] == 7


def test_a_dead_workers_requests_are_taken_back(region):
    index = region.claim_slab(1, 0, "worker")
    region.ints[region.slab(index).first_in_flight + 77] = 3
    region.retire_slab(index)
    cell = (layout.PEERS_AT + 77 * layout.PEER_BYTES) // 4
    assert region.ints[cell + layout.I_LEFT_BEHIND] == 3


class Killed(BaseException):
    """Stands for a kill -9 of the master."""


@pytest.mark.parametrize("survivor", ["same", "other"])
@pytest.mark.parametrize("moment", ["building", "committed", "freed"])
def test_a_master_killed_within_a_fold_neither_loses_nor_doubles(
    region, monkeypatch, moment, survivor
):
    first = region.claim_slab(1, 0, "worker")
    second = region.claim_slab(1, 1, "worker")
    count(region, first, b"a_total", 5)
    count(region, second, b"a_total", 11)
    count(region, second, b"b_total", 1)
    count(region, first, b"c_total", 1)
    step = {"building": "_accumulate", "committed": "_settle", "freed": "_wipe"}[moment]
    whole = getattr(region, step)
    calls = []

    def dies(*arguments):
        calls.append(arguments)
        if step == "_settle" and len(calls) == 1:
            return whole(*arguments)
        if step != "_settle":
            whole(*arguments)
        raise Killed

    monkeypatch.setattr(region, step, dies)
    with pytest.raises(Killed):
        region.retire_slab(first)
    monkeypatch.undo()
    assert counters(region) == {b"a_total": 16, b"b_total": 1, b"c_total": 1}
    heir = region if survivor == "same" else Region.attach(os.dup(region.fd))
    heir.retire_slab(second)
    heir.retire_slab(first)
    assert counters(heir) == {b"a_total": 16, b"b_total": 1, b"c_total": 1}
    assert heir.live_slabs() == []


def test_two_masters_share_one_accumulator(region):
    other = Region.attach(os.dup(region.fd))
    expected = {}
    for turn in range(12):
        master = (region, other)[turn % 2]
        index = master.claim_slab(turn, 0, "worker")
        for key in (b"all_total", b"n%d_total" % (turn % 5)):
            count(master, index, key, turn + 1)
            expected[key] = expected.get(key, 0) + turn + 1
        master.retire_slab(index)
        assert counters(region) == expected
    other.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 9)),
        max_size=30,
    )
)
def test_sums_equal_what_was_counted_and_never_go_backwards(steps):
    region = Region.create()
    expected, slots = {}, {}
    for slot, key, amount in steps:
        if amount == 0 and slot in slots:
            region.retire_slab(slots.pop(slot))
        elif amount:
            if slot not in slots:
                slots[slot] = region.claim_slab(1, slot, "worker")
            count(region, slots[slot], key, amount)
            expected[key] = expected.get(key, 0) + amount
        assert counters(region) == expected
    region.close()


def test_a_masters_own_metrics_and_its_death(region):
    region.master_add("pingpy_reload_total", {"result": "ok"})
    region.master_add("pingpy_reload_total", {"result": "ok"}, 2)
    region.master_set("pingpy_generation", None, 4)
    assert counters(region) == {b'pingpy_reload_total{result="ok"}': 3}
    assert region.retire_dead(lambda pid: True) == []
    heir = Region.attach(os.dup(region.fd))
    assert len(heir.retire_dead(lambda pid: False)) == 1
    assert counters(heir) == {b'pingpy_reload_total{result="ok"}': 3}
    heir.close()


def test_attach_refuses_what_is_not_ours(region):
    with pytest.raises(LayoutMismatchError):
        Region.attach(os.memfd_create("other"))
    region.words[layout.H_LAYOUT] += 1
    with pytest.raises(LayoutMismatchError):
        Region.attach(region.fd)


def test_the_size_cannot_be_changed_behind_our_back(region):
    with pytest.raises(PermissionError):
        os.ftruncate(region.fd, 4096)


def test_a_directory_is_read_whole_and_by_version(region):
    writer, reader = region.directory(7), Region.attach(os.dup(region.fd)).directory(7)
    assert reader.version == 0
    assert reader.read() == (0, b"")
    for number in range(1, 6):
        blob = json.dumps({"number": number, "padding": "x" * number * 1000}).encode()
        assert writer.publish(blob) == number
        assert reader.read() == (number, blob)


def test_generations_do_not_see_each_others_directory(region):
    region.directory(1).publish(b"one")
    assert region.directory(2).version == 0
    # A bank is taken over by the generation that comes after all the others.
    later = 1 + layout.BANKS
    assert region.directory(later).version == 0
    assert region.directory(later).publish(b"later") == 1
    assert region.directory(1).version == 0
    assert region.directory(later).read() == (1, b"later")


def test_a_torn_directory_is_not_believed(region):
    directory = region.directory(1)
    directory.publish(b"whole")
    start = layout.DIRECTORY_AT + (1 * 2 + 1) * layout.BUFFER_BYTES
    assert bytes(region.octets[start : start + 5]) == b"whole"
    region.octets[start] ^= 1
    assert directory.read() == (0, b"")


def test_a_directory_that_is_too_large_is_refused(region):
    with pytest.raises(ValueError, match="fit"):
        region.directory(1).publish(bytes(layout.BUFFER_BYTES + 1))


def test_label_values_are_escaped():
    key = render_key("m", {"a": 'x"y\\z\n', "b": "ü"})
    assert key == 'm{a="x\\"y\\\\z\\n",b="ü"}'.encode()
    assert other_key(key) == b'm{a="(other)",b="(other)"}'
    assert render_key("m") == b"m"


def test_a_full_slab_counts_in_other_and_says_so(region):
    index = region.claim_slab(1, 0, "worker")
    writer = region.series_writer(index)
    label = "x" * 3000
    total = 800
    for number in range(total):
        key = render_key("m_total", {"l": f"{label}{number}"})
        region.words[writer.cell(key, layout.COUNTER)] += 1
    found = counters(region)
    lost = found[OVERFLOWED]
    assert lost > 0
    assert found[b'm_total{l="(other)"}'] == lost
    assert sum(value for key, value in found.items() if key != OVERFLOWED) == total
    region.retire_slab(index)
    assert counters(region) == found


def test_a_layouts_hash_depends_on_its_shape(monkeypatch):
    before = layout.layout_hash()
    monkeypatch.setattr(layout, "PEERS", layout.PEERS * 2)
    assert layout.layout_hash() != before


def test_peer_hashes_fit_a_word_and_are_never_free():
    hashes = {layout.peer_hash(b"pool", b"%d" % number) for number in range(1000)}
    assert len(hashes) == 1000
    assert all(0 < number < 1 << 63 for number in hashes)
    assert layout.peer_hash(b"a", b"b") != layout.peer_hash(b"b", b"a")
