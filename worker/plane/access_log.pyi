from collections.abc import Iterable, Mapping

from pingpy.log_format import LogFormat
from worker.plane.cells import Cells

STEPS: dict[str, int]
CONSTANTS: tuple[str, ...]

class AccessLog:
    """One format, one descriptor, one buffer."""

    fd: int
    lines_dropped: int
    wants_response_head: bool
    def __init__(
        self,
        form: LogFormat,
        fd: int,
        cells: Cells | None = None,
        constants: Mapping[str, bytes] | None = None,
    ) -> None:
        """Owns the descriptor; -1: off. `constants`: values of CONSTANTS."""
    def name_listeners(self, names: Iterable[str]) -> None:
        """What Record.listener counts through ("0.0.0.0:80")."""
    def name_routes(self, labels: Iterable[bytes]) -> None:
        """What Record.route counts through."""
    def name_policies(self, names: Iterable[bytes]) -> None:
        """The algorithms of these routes' pools; empty where there is none."""
    def set_fd(self, fd: int) -> None:
        """Write to another descriptor from now on; the old one gets what is collected, and is closed."""
    def write_out(self) -> None:
        """Write what is collected."""
    def close(self) -> None:
        """The last lines, then off."""
