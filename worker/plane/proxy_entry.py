"""Reads the PROXY header that a connection from one of the configured networks begins with, then hands it over."""

import cython
from cython.cimports.worker.plane.cells import C_PROXY_CUT, C_PROXY_MALFORMED, C_PROXY_SLOW
from cython.cimports.worker.plane.proxy_protocol import ProxyHead, proxy_fault_text, read_proxy


@cython.cclass
class ProxyEntry(Side):
    """The handler of such a connection until its header is whole; the receiver must not guess whether there is one."""

    def __repr__(self) -> str:
        return (
            f"<ProxyEntry {self.down.client[: self.down.client_size].decode()} {self.connection!r}>"
        )

    def on_data(self, offset, size):
        head: ProxyHead
        block: cython.longlong
        used: cython.int
        if self.carry:  # less than a header's bound, or it would have been refused
            block = self.connection.host.turn_memory(self.carry_size + size)
            self.connection.host.arena.copy(block, self.carry, self.carry_size)
            self.connection.host.arena.copy(block + self.carry_size, offset, size)
            size += self.carry_size
            offset = block
        used = read_proxy(
            self.connection.host.arena.view, offset, offset + size, cython.address(head)
        )
        if used < 0:
            return self.turn_away(C_PROXY_MALFORMED, proxy_fault_text(head.fault))
        if used == 0:
            return self.keep(offset, size)
        self.keep(0, 0)
        if head.size:
            self.listener.introduce(self.down, head.source, head.size, head.source_port)
        self.down.proxied = True
        handler: Handler = self.listener.greeter(self.down)
        handler.connection = self.connection
        self.connection.handler = handler
        self.connection.set_deadline(self.listener.patience_ms())
        return handler.on_data(offset + used, size - used) if size > used else 0

    def turn_away(self, counter, cause):
        """Nothing is answered: whoever speaks something else would take it for an answer in its own tongue."""
        self.down.unwelcome(counter, cause)
        return self.connection.close()

    def on_eof(self):
        if self.carry:
            return self.turn_away(C_PROXY_CUT, "it ended within its PROXY header")
        return (
            self.connection.close()
        )  # a probe of the proxy's, which only wanted to see the port open

    def on_failed(self, error):
        return self.connection.close()

    def on_deadline(self):
        return self.turn_away(
            C_PROXY_SLOW, "its PROXY header did not come within [timeouts] header"
        )

    def on_closed(self):
        self.keep(0, 0)
        return self.down.on_closed()

    def cut(self):
        return self.connection.close()

    def left(self):
        return 0
