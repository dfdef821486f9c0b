from collections.abc import Awaitable, Collection, Sequence
from typing import Any, Literal, Protocol

from worker.plane.access_log import AccessLog
from worker.plane.cells import Cells
from worker.plane.pick import Peer
from worker.plane.route import RouteTable
from worker.plane.tls_context import TlsServer

class PlaneEvents(Protocol):
    def fault(self, error: Exception, where: str) -> None:
        """A handler of the plane itself raised; `where` is that connection."""
    def refused(self, status: int, cause: str, session: Any, peer: str) -> None:
        """A 5xx was sent; called once for each."""
    def hook_raised(self, session: Any, phase: str, error: Exception) -> None:
        """A method of the user's raised."""
    def trouble(self, errno: int) -> None:
        """accept() found no descriptor or memory; it is tried again on the next tick."""
    def unwelcome(self, listener: str, client: str, cause: str, kind: int) -> None:
        """A client's connection was closed by its own fault; `kind`: its counter, one for each sort of fault."""
    def broken(self, peer: str, cause: str, kind: int) -> None:
        """The same of a connection to a peer."""
    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Begin a hook's coroutine. What is returned is `over`, with a `result` or an `error`; if it is not, then its
        `done(result, error)` will be called, unless cancel() comes first."""
    def make_peer(self, text: str) -> Any:
        """A pingpy.peer.Peer for hooks to see."""
    def plane_peer(self, chosen: Any) -> Peer:
        """The plane's peer for one that `upstream_peer` returned."""
    def make_address(self, host: str, port: int) -> Any:
        """A pingpy.session.Address."""

class Plane:
    clients: int
    draining: bool
    most_loans: int
    def __init__(
        self,
        *,
        cells: Cells,
        events: PlaneEvents,
        settings: dict[str, int],
        trusted: Sequence[tuple[bytes, int]] = (),
        announced: Sequence[tuple[bytes, int]] = (),
        announced_listeners: Collection[int] | None = None,
        arena_bytes: int = ...,
    ) -> None:
        """`settings` has every key of SETTINGS: times in milliseconds, sizes in bytes. `announced`: networks whose
        connections begin with a PROXY header, on the listeners of these numbers (None: on all)."""
    def fileno(self) -> int: ...
    def ready(self) -> bool:
        """Serve what is ready; True: come back at once, there is more."""
    def tick(self) -> int:
        """Ten times a second: deadlines, queues, log flush, gauges."""
    def use_routes(self, routes: RouteTable) -> None: ...
    def use_log(self, log: AccessLog | None) -> None: ...
    def use_hooks(self, hooks: Any) -> None: ...
    def use_io_uring(self) -> bool:
        """Move bytes by io_uring; False where the kernel or a filter refuses it."""
    def be_patient(self, patience_ms: int) -> None:
        """Once ready() has found something to do, wait so long for more before it returns. For a loop that has little
        else to do: its callbacks and timers wait too, up to twice as long."""
    def use_tls(
        self, server: TlsServer | None, schemes: Sequence[Literal["http", "https", "auto"]] = ()
    ) -> None:
        """Whom to be towards clients that speak TLS; `schemes`, by listener's number: where no TLS, or nothing else, is
        spoken; else the first byte tells. For listeners that are added from now on."""
    def add_listener(self, fd: int, number: int, name: str) -> None:
        """Accept on this descriptor; it stays the caller's to close after remove_listener."""
    def remove_listener(self, fd: int) -> None: ...
    def drain(self, linger_ms: int) -> None:
        """Stop accepting; finish what is under way."""
    def resume(self) -> None: ...
    def end_requests(self) -> int:
        """Cut every client connection that is neither tunnel nor stream; returns how many there were."""
    def end_tunnels(self, count: int) -> None:
        """End so many: tunnels as soon as they are between two frames, what is queued is still sent; then streams."""
    def detach_idle(self) -> list[tuple[int, int, int]]:
        """Give every client connection at rest away: (descriptor, listener's number, requests so far)."""
    def attach_idle(self, resting: Sequence[tuple[int, int, int]]) -> None:
        """Take over connections that detach_idle gave away; KeyError for a listener that is not here."""
    def close_all(self) -> int:
        """The deadline: cut every connection; returns how many there were."""
    def stats(self) -> dict[str, int]: ...
