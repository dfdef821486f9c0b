"""What a hook sees of an exchange: views over its heads, filled only as far as they are asked.

Duck-typed as pingpy.session.Session, pingpy.http.Request, Response and Headers. Nothing is copied until
somebody asks; changes are recorded, and applied when the head is written.
"""

import cython
from cython.cimports.worker.plane.exchange import Exchange
from cython.cimports.worker.plane.h1_parse import Head
from cython.cimports.worker.plane.h1_write import Changes

VERSIONS = {0: "1.0", 1: "1.1", 20: "2"}


@cython.cfunc
def as_bytes(text: object) -> bytes:
    """Names and values are accepted as text too."""
    return text.encode("utf-8") if isinstance(text, str) else text


@cython.cclass
class HeadersView:
    """The fields of one message, in order; names compare without case."""

    def head(self):
        self.session.check()
        if self.of_response:
            return cython.address(self.session.x.response)
        return cython.address(self.session.x.request)

    def changes(self):
        x: Exchange = self.session.x
        return x.response_changes if self.of_response else x.request_changes

    def own_changes(self):
        """The record of changes, made on the first one."""
        x: Exchange = self.session.x
        self.session.check()
        if self.of_response:
            if x.response_changes is None:
                x.response_changes = Changes()
            return x.response_changes
        if x.request_changes is None:
            x.request_changes = Changes()
        return x.request_changes

    def getlist(self, name: object) -> list:
        """Every value of that name, in order."""
        key: bytes = as_bytes(name).lower()
        changes: Changes = self.changes()
        size: cython.int = cython.cast(cython.int, len(key))
        found: list = []
        i: cython.int
        if self.fields is not None:
            return [value for field, value in self.fields if field.lower() == key]
        head: cython.pointer(Head) = self.head()
        arena = self.session.x.services.arena
        if changes is None or key not in changes.dropped:
            for i in range(head.count):
                if (
                    head.fields[i].name_size == size
                    and arena.take(head.start + head.fields[i].name, size).lower() == key
                ):
                    found.append(
                        arena.take(head.start + head.fields[i].value, head.fields[i].value_size)
                    )
        if changes is not None and changes.lines:
            found += [value for field, value in added(changes) if field.lower() == key]
        return found

    def get(self, name: object, default: object = None) -> object:
        """The first value of that name."""
        found = self.getlist(name)
        return found[0] if found else default

    def items(self) -> list:
        """All fields as (name, value)."""
        changes: Changes = self.changes()
        found: list = []
        i: cython.int
        if self.fields is not None:
            return list(self.fields)
        head: cython.pointer(Head) = self.head()
        arena = self.session.x.services.arena
        for i in range(head.count):
            name: bytes = arena.take(head.start + head.fields[i].name, head.fields[i].name_size)
            if changes is None or name.lower() not in changes.dropped:
                value = arena.take(head.start + head.fields[i].value, head.fields[i].value_size)
                found.append((name, value))
        return found + added(changes) if changes is not None else found

    def set(self, name: object, value: object) -> None:
        """Replace all fields of that name by one. Raises ValueError for what cannot be a field."""
        self.own_changes().set_field(as_bytes(name), as_bytes(value))

    def add(self, name: object, value: object) -> None:
        """Append a field. Raises ValueError for what cannot be a field."""
        self.own_changes().add_field(as_bytes(name), as_bytes(value))

    def remove(self, name: object) -> int:
        """Leave out all fields of that name; returns how many there were."""
        count = len(self.getlist(name))
        if count:
            self.own_changes().remove_field(as_bytes(name))
        return count

    def __contains__(self, name: object) -> bool:
        return bool(self.getlist(name))

    def __iter__(self):
        return iter(self.items())

    def __len__(self) -> int:
        return len(self.items())

    def __repr__(self) -> str:
        return f"<Headers {self.items()!r}>"


@cython.cfunc
def added(changes: Changes) -> list:
    """The fields that a hook has added."""
    pairs = []
    for line in changes.lines.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b": ")
            pairs.append((name, value))
    return pairs


@cython.cclass
class MessageView:
    """A request or a response."""

    @property
    def headers(self):
        if self.own_headers is None:
            self.own_headers = HeadersView()
            self.own_headers.session = self.session
            self.own_headers.of_response = self.of_response
        return self.own_headers

    @property
    def method(self) -> str:
        self.session.check()
        x: Exchange = self.session.x
        return x.services.arena.take(x.request.start, x.request.method_size).decode("ascii")

    @property
    def target(self) -> str:
        """As received, or as a hook has set it."""
        self.session.check()
        x: Exchange = self.session.x
        if x.request_changes is not None and x.request_changes.target is not None:
            return x.request_changes.target.decode("ascii")
        return x.services.arena.take(
            x.request.start + x.request.target, x.request.target_size
        ).decode("ascii")

    @target.setter
    def target(self, value: object) -> None:
        raw: bytes = as_bytes(value)
        if not raw.startswith(b"/") or any(octet <= 32 or octet >= 127 for octet in raw):
            raise ValueError(f"not a request target: {value!r}")
        cython.cast(HeadersView, self.headers).own_changes().target = raw

    @property
    def version(self) -> str:
        self.session.check()
        return VERSIONS.get(self.session.x.record.minor, "1.1")

    @property
    def status(self) -> int:
        self.session.check()
        return self.session.x.record.status

    def __repr__(self) -> str:
        if self.of_response:
            return f"<Response {self.status}>"
        return f"<Request {self.method} {self.target}>"


@cython.cclass
class SessionView:
    """One request and its response; valid until `logging` has returned."""

    def check(self):
        """A view must not outlive its request: the memory belongs to another one by then."""
        if self.epoch != self.x.epoch:
            raise RuntimeError("this session is over; keep values, not the session")
        return 0

    def keep_all(self):
        """Copy both heads, for a hook that goes on after the request has ended."""
        for message in (self.request, self.response):
            if message is not None:
                view: HeadersView = message.headers
                view.fields = view.items()
        return 0

    @property
    def id(self) -> str:
        self.check()
        return self.x.record.request_id[: self.x.record.request_id_size].decode("ascii")

    @property
    def request(self):
        if self.own_request is None:
            self.own_request = MessageView()
            self.own_request.session = self
        return self.own_request

    @property
    def response(self):
        """None before there is one."""
        self.check()
        if self.own_response is None and self.x.record.status:
            self.own_response = MessageView()
            self.own_response.session = self
            self.own_response.of_response = True
        return self.own_response

    @property
    def client(self):
        self.check()
        size: cython.int = self.x.record.client_size
        return self.x.services.address(
            self.x.record.client[:size].decode("ascii"), self.x.record.client_port
        )

    @property
    def server(self):
        self.check()
        return self.x.services.listener_address(self.x.record.listener)

    @property
    def peer(self):
        """The address of the current attempt's peer as text, None before one was chosen."""
        self.check()
        return None if self.x.peer is None else self.x.services.hook_peer(self.x.peer)

    @property
    def tries(self) -> int:
        self.check()
        return self.x.record.attempts

    @property
    def started(self) -> float:
        self.check()
        return self.x.record.wall_us / 1e6

    @property
    def bytes_in(self) -> int:
        self.check()
        return self.x.record.request_bytes

    @property
    def bytes_out(self) -> int:
        self.check()
        return self.x.record.bytes_sent

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.request!r}>"
