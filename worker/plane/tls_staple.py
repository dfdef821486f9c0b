"""Shows a client the OCSP response of the very certificate that it gets (RFC 6066 8, RFC 8446 4.4.2.1)."""

import cython
from cython.cimports.libc.time import time
from cython.cimports.worker.plane.openssl import (
    SSL,
    SSL_TLSEXT_ERR_NOACK,
    SSL_TLSEXT_ERR_OK,
    X509,
)
from cython.cimports.worker.plane.openssl_staple import (
    SSL_CTX_get0_certificate,
    SSL_get_certificate,
    pingpy_give_status,
    pingpy_watch_status,
)


@cython.cclass
class Staple:
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
        one.certificate = SSL_CTX_get0_certificate(context)
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
    certificate: cython.pointer(X509) = SSL_get_certificate(ssl)
    now: cython.longlong = time(cython.NULL)
    for one in staples.held:
        if one.certificate == certificate and one.first <= now <= one.last:
            if pingpy_give_status(
                ssl, cython.cast(cython.p_const_char, one.response), len(one.response)
            ):
                return SSL_TLSEXT_ERR_OK
    return SSL_TLSEXT_ERR_NOACK
