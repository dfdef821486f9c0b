"""Sockets that accept: who comes in, from where, and whether there is room."""

import cython
from cython.cimports.libc.string import memcpy, strlen
from cython.cimports.worker.plane.cells import C_ACCEPTED
from cython.cimports.worker.plane.connection import ROLE_LISTENER, ROLE_STREAM, Handler
from cython.cimports.worker.plane.h1_downstream import H1Downstream
from cython.cimports.worker.plane.proxy_entry import ProxyEntry
from cython.cimports.worker.plane.syscalls import (
    AF_INET,
    AF_INET6,
    EAGAIN,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    IPPROTO_TCP,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    TCP_NODELAY,
    accept4,
    close,
    errno,
    getpeername,
    inet_ntop,
    ntohs,
    setsockopt,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    socklen_t,
)
from cython.cimports.worker.plane.tls_gate import SCHEME_HTTP, SCHEME_HTTPS, TlsGate

ACCEPTS = cython.declare(
    cython.int, 64
)  # in one turn, so that those who are in are served meanwhile


@cython.cclass
class Listener(Handler):
    """One listening socket of this worker. The descriptor is the master's to close for good."""

    def __cinit__(self, services, fd, number, name, events, trusted, announced, tls, scheme):
        self.services = services
        self.fd = fd
        self.number = number
        self.name = name
        self.on_trouble = events.trouble
        self.trusted = trusted
        self.announced = announced
        self.tls = tls
        self.scheme = scheme
        self.paused = True

    def __repr__(self) -> str:
        return f"<Listener {self.name} fd={self.fd} {'paused' if self.paused else 'accepting'}>"

    def open(self):
        """Accept (again)."""
        one: cython.int = 1
        if self.paused:
            # Accepted sockets inherit it: one system call less per connection.
            setsockopt(self.fd, IPPROTO_TCP, TCP_NODELAY, cython.address(one), 4)
            self.services.host.attach(self.fd, self, ROLE_LISTENER)
            self.paused = False
        return 0

    def stop(self):
        """Accept no more; what waits in the queue waits on."""
        if not self.paused:
            self.services.host.detach(self.connection)
            self.connection.fd = -1
            self.connection = None
            self.paused = True
        return 0

    def on_acceptable(self):
        address: cython.uchar[128]
        size: socklen_t
        fd: cython.int
        _i: cython.int
        for _i in range(ACCEPTS):
            if self.services.full():
                return self.stop()
            size = 128
            fd = accept4(
                self.fd,
                cython.cast(cython.pointer(sockaddr), cython.address(address[0])),
                cython.address(size),
                SOCK_NONBLOCK | SOCK_CLOEXEC,
            )
            if fd < 0:
                if errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
                    self.on_trouble(errno)
                    return self.stop()  # the next tick opens it again
                if errno == EAGAIN:
                    return 0
                continue  # the client has gone again (ECONNABORTED and its kin, accept(2))
            try:
                self.welcome(fd, cython.address(address[0]), 0)
            except OSError as error:  # no memory for another watch: the listener itself is well
                close(fd)
                self.on_trouble(error.errno or EMFILE)
                return self.stop()
        return 0

    def take_over(self, fd, requests):
        """A client that another plane has served so far."""
        address: cython.uchar[128]
        size: socklen_t = 128
        raw: cython.pointer(sockaddr) = cython.cast(
            cython.pointer(sockaddr), cython.address(address[0])
        )
        if getpeername(fd, raw, cython.address(size)) < 0:  # it has gone meanwhile
            return self.services.host.close_later(fd)
        return self.welcome(fd, cython.address(address[0]), requests)

    def welcome(self, fd, address, requests):
        """A client is in."""
        down: H1Downstream = H1Downstream.__new__(H1Downstream)
        v4: cython.pointer(sockaddr_in) = cython.cast(cython.pointer(sockaddr_in), address)
        v6: cython.pointer(sockaddr_in6) = cython.cast(cython.pointer(sockaddr_in6), address)
        packed: cython.p_const_uchar
        size: cython.int = 0
        port: cython.int = 0
        down.services = self.services
        down.requests = requests
        down.listener = self.number
        down.persistent = True
        down.networks = self.trusted
        down.loopback = True
        packed = cython.NULL
        if v4.sin_family == AF_INET:
            packed = cython.cast(cython.p_const_uchar, cython.address(v4.sin_addr))
            size = 4
            port = ntohs(v4.sin_port)
        elif v4.sin_family == AF_INET6:
            packed = cython.cast(cython.p_const_uchar, cython.address(v6.sin6_addr))
            size = 16
            port = ntohs(v6.sin6_port)
        self.introduce(down, packed, size, port)
        self.services.clients += 1
        self.services.cells.add(C_ACCEPTED, 1)
        if self.announced is not None and self.is_announced(packed, size):
            entry: ProxyEntry = ProxyEntry.__new__(ProxyEntry)
            entry.listener = self
            entry.down = down
            self.attach(fd, entry)
            return entry.connection.set_deadline(self.services.settings.header_ms)
        handler: Handler = self.greeter(down)
        self.attach(fd, handler)
        return handler.connection.set_deadline(self.patience_ms())

    def attach(self, fd, handler):
        """Watch it; OSError when there is no memory for that."""
        try:
            self.services.host.attach(fd, handler, ROLE_STREAM)
        except OSError:
            self.services.clients -= 1
            raise
        return 0

    def introduce(self, down, packed, size, port):
        """Note who the client is: an address, or with size 0 somebody on a Unix socket."""
        if size == 16 and is_mapped(packed):  # a client of IPv4 on a socket for both
            packed += 12
            size = 4
        if size == 4:
            down.client_size = put_ipv4(packed, down.client)
        elif size:
            inet_ntop(AF_INET6, packed, down.client, 46)
            down.client_size = cython.cast(cython.int, strlen(down.client))
        else:
            memcpy(down.client, b"unix:", 5)
            down.client_size = 5
        down.client_port = port
        # Told of a client elsewhere by somebody on this host, it is not of this host; nor the other way round.
        down.loopback = down.loopback and (size == 0 or is_loopback(packed, size))
        # "unix" among the trusted proxies is the empty network
        down.trusted = self.trusted is not None and self.trusted.contains(packed, size)
        return 0

    def is_announced(self, packed, size):
        """Whether connections from there begin with a PROXY header."""
        if size == 16 and is_mapped(packed):
            return self.announced.contains(packed + 12, 4)
        return self.announced.contains(packed, size)

    def patience_ms(self):
        """How long a client may be silent at first."""
        settings = cython.address(self.services.settings)
        if self.services.draining:
            return settings.first_word_ms
        if self.tls is not None and self.scheme == SCHEME_HTTPS:
            return settings.handshake_ms
        return settings.idle_ms

    def greeter(self, down):
        """Who gets the first bytes of a client: H1Downstream itself, where nothing but HTTP can come."""
        if self.tls is None or self.scheme == SCHEME_HTTP:
            return down
        gate: TlsGate = TlsGate.__new__(TlsGate)
        gate.services = self.services
        gate.server = self.tls
        gate.down = down
        gate.scheme = self.scheme
        return gate


@cython.cfunc
@cython.exceptval(check=False)
def put_ipv4(packed: cython.p_const_uchar, text: cython.p_char) -> cython.int:
    """In dotted decimals, at most 15 octets: returns how many. inet_ntop would take five times as long."""
    i: cython.int
    at: cython.int = 0
    number: cython.int
    for i in range(4):
        number = packed[i]
        if i:
            text[at] = 0x2E
            at += 1
        if number >= 100:
            text[at] = 0x30 + number // 100
            at += 1
        if number >= 10:
            text[at] = 0x30 + number // 10 % 10
            at += 1
        text[at] = 0x30 + number % 10
        at += 1
    return at


@cython.cfunc
@cython.exceptval(check=False)
def is_mapped(packed: cython.p_const_uchar) -> cython.bint:
    """::ffff:0.0.0.0/96, an IPv4 address in an IPv6 one."""
    i: cython.int
    for i in range(10):
        if packed[i]:
            return False
    return packed[10] == 255 and packed[11] == 255


@cython.cfunc
@cython.exceptval(check=False)
def is_loopback(packed: cython.p_const_uchar, size: cython.int) -> cython.bint:
    """127.0.0.0/8 or ::1."""
    i: cython.int
    if size == 4:
        return packed[0] == 127
    for i in range(15):
        if packed[i]:
            return False
    return packed[15] == 1
