# The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): sans-I/O.

cdef enum:
    PROXY_V1_BYTES = 107          # section 2.1: the longest line, with its CR LF
    PROXY_V2_HEAD_BYTES = 16
    PROXY_V2_MOST_BYTES = 4096    # addresses and TLVs that we read past; the format has room for 65535

cdef enum ProxyFault:
    PROXY_OK = 0
    PROXY_NO_SIGNATURE, PROXY_LONG_LINE, PROXY_BAD_LINE, PROXY_BAD_ADDRESS, PROXY_BAD_PORT
    PROXY_BAD_VERSION, PROXY_BAD_COMMAND, PROXY_BAD_FAMILY, PROXY_DATAGRAM, PROXY_BAD_LENGTH, PROXY_BAD_TLV, PROXY_BAD_CRC
    PROXY_FAULTS

cdef struct ProxyHead:
    int fault                     # ProxyFault, when refused
    int version
    int size                      # of an address: 4 or 16; 0: it names nobody (UNKNOWN, LOCAL, a Unix socket)
    unsigned char source[16]
    unsigned char destination[16]
    int source_port, destination_port

# The header at `at`: its size; 0 when it may still become one and more octets are needed; -2 with head.fault set.
cdef int read_proxy(unsigned char[::1] view, long long at, long long end, ProxyHead* head) except? -1
cdef str proxy_fault_text(int fault)
# A header of version 2 for a TCP connection between these packed addresses, both of 4 or both of 16 octets; empty ones: it
# is somebody's whom we cannot name.
cdef bytes proxy_header(bytes source, int source_port, bytes destination, int destination_port)
