"""What a hook sees of an exchange: views over its heads, filled only as far as they are asked.

Duck-typed as pingpy.session.Session, pingpy.http.Request, Response and Headers. Nothing is copied until
somebody asks; changes are recorded, and applied when the head is written. Views are used again for the next
exchange when nobody has kept them; a kept one belongs to its request for good, and says so when that is over.
"""

import cython
from cython.cimports.cpython.ref import PyObject, _Py_REFCNT
from cython.cimports.worker.plane.changes import Changes, hash_of, same_name
from cython.cimports.worker.plane.exchange import Exchange
from cython.cimports.worker.plane.h1_parse import Head

VERSIONS = {0: "1.0", 1: "1.1", 20: "2"}
# by h1_parse.Method
METHODS = ("", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")


@cython.cfunc
def as_bytes(text: object) -> bytes:
    """Names and values are accepted as text too."""
    if isinstance(text, bytes):
        return text
    return cython.cast(str, text).encode("utf-8") if isinstance(text, str) else text


@cython.cclass
class HeadersView:
    """The fields of one message, in order; names compare without case."""

    def head(self):
        x: Exchange = self.session.x
        self.session.check()
        if not self.of_response:
            return cython.address(x.request)
        if x.response.count and not x.response_block and not self.session.response_here:
            raise RuntimeError("the response's fields are not kept; read them in response_filter")
        return cython.address(x.response)

    def changes(self):
        x: Exchange = self.session.x
        return x.response_changes if self.of_response else x.request_changes

    def own_changes(self):
        """The record of changes, made on the first one."""
        x: Exchange = self.session.x
        self.session.check()
        found: Changes = self.changes()
        if found is not None:
            return found
        if self.own is None:
            self.own = Changes()
        self.own.clear()
        if self.of_response:
            x.response_changes = self.own
        else:
            x.request_changes = self.own
        return self.own

    def find(self, head, name, hashed, start):
        """The next field of that name, from `start` on; -1: none."""
        i: cython.int
        for i in range(start, head.count):
            if head.fields[i].name_hash == hashed and same_name(
                self.session.x.services.arena.view,
                head.start + head.fields[i].name,
                head.fields[i].name_size,
                name,
            ):
                return i
        return -1

    def getlist(self, name: object) -> list:
        """Every value of that name, in order."""
        key: bytes = as_bytes(name)
        found: list = []
        i: cython.int
        head: cython.pointer(Head) = self.head()
        changes: Changes = self.changes()
        hashed: cython.uint = hash_of(key)
        i = self.find(head, key, hashed, 0)
        if i >= 0 and (
            changes is None
            or not changes.drops(
                self.session.x.services.arena.view,
                head.start + head.fields[i].name,
                head.fields[i].name_size,
                hashed,
            )
        ):
            while i >= 0:
                found.append(self.value_of(head, i))
                i = self.find(head, key, hashed, i + 1)
        if changes is not None and changes.added:
            key = key.lower()
            found += [value for field, value in added(changes) if field.lower() == key]
        return found

    def value_of(self, head, i):
        return self.session.x.services.arena.take(
            head.start + head.fields[i].value, head.fields[i].value_size
        )

    def get(self, name: object, default: object = None) -> object:
        """The first value of that name."""
        i: cython.int
        if self.changes() is None:
            key: bytes = as_bytes(name)
            head: cython.pointer(Head) = self.head()
            i = self.find(head, key, hash_of(key), 0)
            return default if i < 0 else self.value_of(head, i)
        found = self.getlist(name)
        return found[0] if found else default

    def items(self) -> list:
        """All fields as (name, value)."""
        found: list = []
        i: cython.int
        head: cython.pointer(Head) = self.head()
        changes: Changes = self.changes()
        arena = self.session.x.services.arena
        for i in range(head.count):
            if changes is None or not changes.drops(
                arena.view,
                head.start + head.fields[i].name,
                head.fields[i].name_size,
                head.fields[i].name_hash,
            ):
                name: bytes = arena.take(head.start + head.fields[i].name, head.fields[i].name_size)
                found.append((name, self.value_of(head, i)))
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
        return self.get(name) is not None

    def __iter__(self):
        return iter(self.items())

    def __len__(self) -> int:
        return len(self.items())

    def __repr__(self) -> str:
        return f"<Headers {self.items()!r}>"


@cython.cfunc
def added(changes: Changes) -> list:
    """The fields that a hook has added."""
    fields: list = changes.added
    return list(zip(fields[::2], fields[1::2], strict=True))


@cython.cclass
class MessageView:
    """A request or a response."""

    def fields(self):
        if self.own_headers is None:
            self.own_headers = HeadersView()
            self.own_headers.session = self.session
            self.own_headers.of_response = self.of_response
        return self.own_headers

    @property
    def headers(self):
        return self.fields()

    @property
    def method(self) -> str:
        self.session.check()
        x: Exchange = self.session.x
        if x.request.method and x.request.method < len(METHODS):
            return METHODS[x.request.method]
        return x.services.arena.text(x.request.start, x.request.method_size)

    @property
    def target(self) -> str:
        """As received, or as a hook has set it."""
        self.session.check()
        x: Exchange = self.session.x
        if x.request_changes is not None and x.request_changes.target is not None:
            return x.request_changes.target.decode("ascii")
        return x.services.arena.text(x.request.start + x.request.target, x.request.target_size)

    @target.setter
    def target(self, value: object) -> None:
        raw: bytes = as_bytes(value)
        if not raw.startswith(b"/") or any(octet <= 32 or octet >= 127 for octet in raw):
            raise ValueError(f"not a request target: {value!r}")
        self.fields().own_changes().target = raw

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

    @property
    def id(self) -> str:
        self.check()
        return self.x.record.request_id[: self.x.record.request_id_size].decode("ascii")

    def request_view(self):
        if self.own_request is None:
            self.own_request = MessageView()
            self.own_request.session = self
        return self.own_request

    def response_view(self):
        if self.own_response is None:
            self.own_response = MessageView()
            self.own_response.session = self
            self.own_response.of_response = True
        return self.own_response

    @property
    def request(self):
        return self.request_view()

    @property
    def response(self):
        """None before there is one."""
        self.check()
        return self.response_view() if self.x.record.status else None

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


@cython.cfunc
@cython.exceptval(check=False)
def is_ours(session: SessionView) -> cython.bint:
    """Whether nobody holds the session or a part of it but its exchange and who asks."""
    holders: cython.Py_ssize_t = 2
    part: cython.pointer(PyObject)
    if session.own_request is not None:
        holders += 1
        if _Py_REFCNT(cython.cast(cython.pointer(PyObject), session.own_request)) != 1:
            return False
        if session.own_request.own_headers is not None:
            holders += 1
            part = cython.cast(cython.pointer(PyObject), session.own_request.own_headers)
            if _Py_REFCNT(part) != 1:
                return False
    if session.own_response is not None:
        holders += 1
        if _Py_REFCNT(cython.cast(cython.pointer(PyObject), session.own_response)) != 1:
            return False
        if session.own_response.own_headers is not None:
            holders += 1
            part = cython.cast(cython.pointer(PyObject), session.own_response.own_headers)
            if _Py_REFCNT(part) != 1:
                return False
    return _Py_REFCNT(cython.cast(cython.pointer(PyObject), session)) == holders


def session_of(x):
    """A view that somebody has kept stays with its request; this one gets another."""
    session: SessionView = x.session
    if session is None or (session.epoch != x.epoch and not is_ours(session)):
        session = SessionView()
        session.x = x
        session.epoch = x.epoch
        x.session = session
    elif session.epoch != x.epoch:
        session.epoch = x.epoch
        session.before = None
    return session
