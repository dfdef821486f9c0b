"""Looks the user's methods up once, when they are bound, so that a request finds them without asking by name."""

import cython


@cython.cclass
class HookSlots:
    """The bound phases as the plane calls them."""

    def __repr__(self) -> str:
        return f"<HookSlots wanted={self.wanted:#x}>"


@cython.cfunc
@cython.exceptval(check=False)
def bit(method: object, wanted: cython.int) -> cython.int:
    """This bit when there is a method."""
    return 0 if method is None else wanted


def slots_of(phases):
    """Phases that the plane does not run are not looked at."""
    slots: HookSlots = HookSlots()
    if phases is None:
        return None
    slots.new_ctx = phases.new_ctx
    slots.request_filter = phases.request_filter
    slots.upstream_peer = phases.upstream_peer
    slots.upstream_request_filter = phases.upstream_request_filter
    slots.response_filter = phases.response_filter
    slots.logging = phases.logging
    slots.wanted = (
        bit(slots.request_filter, WANTS_REQUEST)
        | bit(slots.upstream_peer, WANTS_PEER)
        | bit(slots.upstream_request_filter, WANTS_UPSTREAM_REQUEST)
        | bit(slots.response_filter, WANTS_RESPONSE)
        | bit(slots.logging, WANTS_LOGGING)
        | bit(phases.request_body_filter, WANTS_REQUEST_BODY)
        | bit(phases.response_body_filter, WANTS_RESPONSE_BODY)
    )
    return slots if slots.wanted else None
