# The socket as libssl sees it.
from worker.plane.openssl cimport BIO
from worker.plane.tls cimport TlsStream

# Reads and writes the socket of stream.connection; the stream must outlive it. Raises MemoryError.
cdef BIO* new_socket_bio(TlsStream stream) except NULL
