"""Shows a client the OCSP response of the very certificate that it gets (RFC 6066 8, RFC 8446 4.4.2.1)."""

import cython
from cython.cimports.libc.time import time
from cython.cimports.worker.plane.openssl import (
    SSL,
    SSL_TLSEXT_ERR_NOACK,
    SSL_TLSEXT_ERR_OK,
)
from cython.cimports.worker.plane.openssl_staple import (
    pingpy_begin_status,
    pingpy_free_pair,
    pingpy_give_status,
    pingpy_last_pair,
    pingpy_watch_status,
)


@cython.cclass
class Staple:
    def __dealloc__(self):
        pingpy_free_pair(self.certificate)

    def __repr__(self) -> str:
        return f"<Staple {len(self.response)} bytes>"


@cython.cclass
class Staples:
    """Of one identity, whose context calls back for as long as both live."""

    def __init__(self):
        self.held = []

    def __repr__(self) -> str:
        return f"<Staples {self.held}>"

    def add(self, context, response, first, last):
        one: Staple = Staple.__new__(Staple)
        one.certificate = pingpy_last_pair(
            context, cython.cast(cython.p_const_char, response), len(response)
        )
        if one.certificate == cython.NULL:
            raise ValueError("libssl has no memory for another OCSP response")
        one.response = response
        one.first = first
        one.last = last
        self.held.append(one)
        pingpy_watch_status(context, show, cython.cast(cython.p_void, self))
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def show(ssl: cython.pointer(SSL), argument: cython.p_void) -> cython.int:
    """The client asks for it. One that has expired since it was loaded would make clients refuse us."""
    staples: Staples = cython.cast(Staples, argument)
    one: Staple
    good: cython.bint
    shown: cython.bint = False
    now: cython.longlong = time(cython.NULL)
    pingpy_begin_status(ssl)
    for one in staples.held:
        good = one.first <= now <= one.last
        if pingpy_give_status(
            ssl,
            one.certificate,
            cython.cast(cython.p_const_char, one.response),
            len(one.response) if good else 0,
        ):
            shown = True
    return SSL_TLSEXT_ERR_OK if shown else SSL_TLSEXT_ERR_NOACK
