"""The memory that master, workers and scouts of all generations share: layout, slabs, peers, directory, ticket keys."""

from pingpy.shared.layout import PEERS, SLABS
from pingpy.shared.names import COUNTERS
from pingpy.shared.region import LayoutMismatchError, Region, SlabsExhaustedError
from pingpy.shared.slab import Role, Slab
from pingpy.shared.ticket_keys import TicketKeys

__all__ = [
    "COUNTERS",
    "PEERS",
    "SLABS",
    "LayoutMismatchError",
    "Region",
    "Role",
    "Slab",
    "SlabsExhaustedError",
    "TicketKeys",
]
