"""Where everything lies in the shared memory.

    byte 0          header, one page of 64-bit words
                      0 magic  1 version  2 layout hash  3 size  4 fold  5 slab serial  6 created (wall clock, us)
                      int 16: how often some peer's state or weight has changed (atomic)
                      64 + 8 * bank: generation, version, size 0, crc 0, size 1, crc 1     (directory banks)
    SLAB_TABLE_AT   1,024 entries of 128 bytes
                      line written by the master   0 state  1 generation  2 slot  3 role  4 serial
                                                   5 claimed (us)  6 draining
                      line written by the owner    8 pid  9 beat (us)  10 connections  11 active  12 idle upstream
                                                   13 words of series  14 resident bytes  15 loop lag (us)
    PEERS_AT        65,536 cells of 64 bytes, found by a 64-bit hash and linear probing
                      word 0 hash
                      int  2 in flight (atomic, all workers)     int 3 left behind by dead workers (master)
                      int  4 probe verdict (scout)               int 5 failures in the window (atomic)
                      word 3 marked down until (ms)              word 4 window began (ms)
                      int 10 weight + 1, 0: as configured        int 11 drained by an operator
                      word 6 probe verdict since (ms)            int 14 markings in a row
    DIRECTORY_AT    16 banks (generation modulo 16) of two 4 MiB buffers: what that generation's scout found out, JSON
    SLABS_AT        1,024 slabs of 2 MiB: series records, then this owner's share of every peer's in-flight count

    series record   word 0: words in all << 40 | bytes of key << 8 | kind;  key, padded to words;  values
    fold            version << 32 | slab being freed << 8 | index of the accumulator in force

Slab 0 stays empty, slabs 1 and 2 are the accumulators: counters of retired slabs, one in force and one to build the
next in. The mapping is sparse; what nobody touched costs nothing. Every cell has one writer, or is changed atomically.
Times are CLOCK_MONOTONIC unless the name says wall.
"""

from __future__ import annotations

import hashlib

WORD = 8
PAGE = 4096

MAGIC = int.from_bytes(b"pingpy\x00\x01", "little")
VERSION = 1

# header words
H_MAGIC, H_VERSION, H_LAYOUT, H_SIZE, H_FOLD, H_SERIAL, H_CREATED_WALL_US = range(7)
HI_PEER_CHANGES = 16  # an int, in a cache line of its own
H_BANKS = 64
BANK_WORDS = 8

SLABS = 1024
SLAB_ENTRY_BYTES = 128
FIRST_SLAB = 3
ACCUMULATORS = (1, 2)
# slab entry words
S_STATE, S_GENERATION, S_SLOT, S_ROLE, S_SERIAL, S_CLAIMED_US, S_DRAINING = range(7)
S_PID, S_BEAT_US, S_CONNECTIONS, S_ACTIVE, S_IDLE_UPSTREAM, S_USED, S_RSS, S_LAG_US = range(8, 16)
STATE_FREE, STATE_LIVE = 0, 1

PEERS = 65_536
PEER_BYTES = 64
PEER_WORDS = PEER_BYTES // WORD
PEER_PROBES = 256  # cells looked at before the table counts as full
# peer cell: words, and (I_*) ints counted from the cell's start
P_HASH, P_DOWN_UNTIL_MS, P_WINDOW_MS, P_PROBED_MS = 0, 3, 4, 6
I_IN_FLIGHT, I_LEFT_BEHIND, I_PROBE, I_FAILURES, I_WEIGHT, I_DRAINED, I_MARKINGS = (
    2,
    3,
    4,
    5,
    10,
    11,
    14,
)
PROBE_UNKNOWN, PROBE_UP, PROBE_DOWN = 0, 1, 2

BANKS = 16
BUFFER_BYTES = 4 << 20

SLAB_BYTES = 2 << 20
IN_FLIGHT_BYTES = PEERS * 4
SERIES_WORDS = (SLAB_BYTES - IN_FLIGHT_BYTES) // WORD
OTHER_WORDS = 4096  # kept back for the "(other)" series

SLAB_TABLE_AT = PAGE
PEERS_AT = SLAB_TABLE_AT + SLABS * SLAB_ENTRY_BYTES
DIRECTORY_AT = PEERS_AT + PEERS * PEER_BYTES
SLABS_AT = -(-(DIRECTORY_AT + BANKS * 2 * BUFFER_BYTES) // SLAB_BYTES) * SLAB_BYTES
SIZE = SLABS_AT + SLABS * SLAB_BYTES

# kinds of series; LATEST: the value of the youngest slab counts, not the sum
COUNTER, GAUGE, LATEST, HISTOGRAM = 1, 2, 3, 4

# Upper bounds of the duration histograms; values are non-cumulative counts, one more for +Inf, then the sum in us.
BOUNDS_US = (
    *(100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000),
    *(1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000),
)
VALUES = {COUNTER: 1, GAUGE: 1, LATEST: 1, HISTOGRAM: len(BOUNDS_US) + 2}


def layout_hash() -> int:
    """A number that differs when two builds would read each other's cells wrongly."""
    shape = (
        VERSION,
        *(SLABS, SLAB_ENTRY_BYTES, PEERS, PEER_BYTES, PEER_PROBES, BANKS, BUFFER_BYTES),
        *(SLAB_BYTES, SERIES_WORDS, OTHER_WORDS, SIZE, H_BANKS, BANK_WORDS, BOUNDS_US),
        *(S_PID, S_USED, P_DOWN_UNTIL_MS, I_IN_FLIGHT, I_LEFT_BEHIND, I_PROBE, I_MARKINGS),
    )
    digest = hashlib.blake2b(repr(shape).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little")


def peer_hash(pool: bytes, address: bytes) -> int:
    """The key of a peer's cell; never 0, which marks a free cell, and fits a signed word."""
    digest = hashlib.blake2b(pool + b"|" + address, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1 or 1
