# The keys of session tickets, as they lie in the page that the master writes.
from worker.plane.openssl cimport SSL_CTX

# libssl's words.
cdef enum Found:
    KEY_NONE = 0
    KEY_GOOD = 1
    KEY_OLD = 2                            # decrypt with it, and give the client a new ticket

cdef class Tickets:
    cdef const unsigned char[::1] octets
    cdef readonly long lifetime_seconds
    # The key of this name, or (NULL) the one to encrypt with: name, cipher key, MAC key.
    cdef int choose(self, const unsigned char* name, const unsigned char** key) except -1
    cdef const unsigned char* key(self, int slot) except NULL

# How long tickets are good, and that there is no early data; None: there are no tickets.
cdef int bound_tickets(SSL_CTX* context, Tickets tickets) except -1
