# What is remembered of one request until its log line and counters are written: plain values, no objects.

cdef enum:
    MAX_ATTEMPTS = 8

# Who ended the exchange, and in which phase.
cdef enum Ending:
    END_OK = 0
    END_CLIENT_GONE = 1           # 499 in the log
    END_CLIENT_TIMEOUT = 2
    END_BAD_REQUEST = 3
    END_NO_ROUTE = 4
    END_NO_PEER = 5               # none left to try, or all weights are 0
    END_QUEUE_FULL = 6
    END_CONNECT_FAILED = 7
    END_CONNECT_TIMEOUT = 8
    END_UPSTREAM_TIMEOUT = 9
    END_UPSTREAM_CLOSED = 10      # before a complete response
    END_BAD_RESPONSE = 11
    END_HOOK_RAISED = 12
    END_LOCAL = 13                # answered by pingpy itself: redirect, respond, metrics, a filter's Response
    END_DRAIN_DEADLINE = 14
    END_TLS_FAILED = 15
    END_INTERNAL = 16
    END_UPSTREAM_SILENT = 17      # its connection gave no sign of life (h2_alive)

# What a log line may say of a secure connection; the texts live as long as that connection's layer.
cdef struct Secured:
    const char* version                    # "TLSv1.3"
    const char* cipher
    const char* server_name                # what the client asked for (SNI); NULL: nothing
    const char* protocol                   # what ALPN agreed on; NULL: nothing
    const char* client_name                # the subject of a client's certificate; NULL: none was shown
    bint reused                            # the session was resumed
    bint verified                          # the peer showed a certificate, and it is good
    void* identity                         # the tls_context.TlsContext whose certificate was shown

cdef struct Attempt:
    char peer[112]                # as text, "192.168.1.100:80" or "unix:/run/app.sock"
    int peer_size
    int peer_cell                 # index in the shared peer table, -1 for none
    int status                    # 0: no response head came
    int reused                    # 1: over a pooled connection
    long long connect_us, header_us, response_us    # -1: did not come to it
    long long bytes_sent, bytes_received

cdef struct Record:
    long long started_us          # monotonic, first byte of the request
    long long wall_us             # wall clock of the same moment
    long long ended_us
    long long queue_us            # spent waiting for a place at a peer
    long long request_bytes       # head and body as received
    long long body_bytes_sent
    long long bytes_sent
    int status                    # what the client saw; 499 when it went away first
    int ending                    # Ending
    int method                    # h1_parse.Method
    int minor                     # of the downstream protocol; 20 for HTTP/2
    int route                     # index in the route table, -1 for none
    int listener
    int hook_peer                 # 1: a hook named the peer, no pool's algorithm picked it
    int attempts
    int stream                    # of HTTP/2: set where minor is 20
    long long trailers            # of the origin's answer: field lines; valid where the log keeps the answer's head
    long long trailers_size
    int connection_requests       # which request on its connection this is, from 1
    long long connection_id
    int client_port
    int tls
    Secured* secured              # NULL: not secure; valid while the exchange has its downstream side
    int client_size
    char client[64]               # address as text, after trusted_proxies were applied
    int peer_address_size
    char peer_address[64]         # address of the socket's other end
    int request_id_size
    char request_id[128]
    Attempt tries[8]
