"""Session tickets: which key encrypts one and which decrypts it, the same in every worker of every generation.

libssl asks for each ticket that it makes or gets (RFC 5077 4, RFC 8446 4.6.1). The keys lie in a page that the
master writes (pingpy/shared/ticket_keys.py); they are read where they lie, and copied into libssl's cipher only. A
ticket that no key fits is as good as none: a full handshake follows. So it does when the last full one is too long ago,
however often the ticket was renewed since, and when the client's certificate is no longer valid.
"""

import cython
from cython.cimports.libc.string import memcmp
from cython.cimports.worker.plane.openssl import (
    SSL_OP_NO_TICKET,
    SSL_CTX_set_max_early_data,
    SSL_CTX_set_num_tickets,
    SSL_CTX_set_options,
    pingpy_set_ticket_seconds,
)

from pingpy.shared import ticket_keys

# Mirrors of pingpy/shared/ticket_keys.py as C constants.
IN_FORCE_AT = cython.declare(cython.int, ticket_keys.IN_FORCE_AT)
SLOTS = cython.declare(cython.int, ticket_keys.SLOTS)
SLOTS_AT = cython.declare(cython.int, ticket_keys.SLOTS_AT)
SLOT_BYTES = cython.declare(cython.int, ticket_keys.SLOT_BYTES)
NAME_BYTES = cython.declare(cython.int, ticket_keys.NAME_BYTES)


@cython.cclass
class Tickets:
    """Looks at the page; never writes."""

    def __init__(self, octets, lifetime_seconds: float):
        """`octets`: the whole page; `lifetime_seconds`: how long a session may be resumed."""
        if len(octets) < SLOTS_AT + SLOTS * SLOT_BYTES:
            raise ValueError("that is no page of keys")  # libssl's reads are not bounds-checked
        self.octets = octets
        self.lifetime_seconds = max(1, int(lifetime_seconds))

    def __repr__(self) -> str:
        return f"<Tickets for {self.lifetime_seconds} s>"  # the keys are nobody's to see

    def choose(self, name, key):
        in_force: cython.int = self.octets[IN_FORCE_AT] % SLOTS
        step: cython.int
        if name == cython.NULL:
            key[0] = self.key(in_force)
            return KEY_GOOD
        # The last one, and the next one too: another worker may have seen a rotation before us.
        for step in range(3):
            key[0] = self.key((in_force + step + SLOTS - 1) % SLOTS)
            if memcmp(key[0], name, NAME_BYTES) == 0:
                return KEY_OLD if step == 0 else KEY_GOOD
        return KEY_NONE

    def key(self, slot):
        return cython.address(self.octets[SLOTS_AT + slot * SLOT_BYTES])


def bound_tickets(context, tickets):
    # Early data may be a repetition, and nothing here could tell (RFC 8446 8): off, as libssl has it by itself.
    SSL_CTX_set_max_early_data(context, 0)
    if tickets is not None:
        pingpy_set_ticket_seconds(context, tickets.lifetime_seconds)
        return 0
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET)
    SSL_CTX_set_num_tickets(context, 0)
    return 0
