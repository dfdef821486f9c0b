# The socket as libssl sees it.
from worker.plane.openssl cimport BIO
from worker.plane.tls cimport TlsStream

# Reads and writes the socket of stream.connection; the stream must outlive it. Raises MemoryError.
cdef BIO* new_socket_bio(TlsStream stream) except NULL
# Send what a handshake has left: 1 when nothing (more) is held, 0 when the socket is full, -1 when it failed.
cdef int release(TlsStream stream) noexcept
