"""Every error that pingpy raises on purpose, and what each one means for the caller.

PingpyError
├── ConfigError(complaints)      the configuration is refused; exit 78
├── BootError                    no worker could be started; exit 3
└── ProxyError(source, retry, status)
    ├── DownstreamError          the client's side
    │   ├── BadRequest           400, 413, 414, 431 ...
    │   ├── ClientGone           499: nobody is left to answer
    │   └── ClientTimeout        408
    ├── UpstreamError            the origin's side
    │   ├── ConnectFailed        502, another peer may be tried
    │   ├── ConnectTimeout       504, another peer may be tried
    │   ├── TlsFailed            502
    │   ├── UpstreamTimeout      504
    │   ├── UpstreamClosed       502
    │   └── BadResponse          502
    └── InternalError            500: a phase of the application raised
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

MAX_COMPLAINTS_SHOWN = 20


class Severity(StrEnum):
    """Whether a complaint stops a start: warnings do so only under --strict."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong with a configuration, and where it stands in the file (line 0: nowhere)."""

    message: str
    help: str = ""
    severity: Severity = Severity.ERROR
    file: str = ""
    line: int = 0
    column: int = 0
    source_line: str = ""
    width: int = 1
    path: tuple[str | int, ...] = ()

    def render(self) -> str:
        """The complaint as an operator reads it: place, message, source line, caret, help."""
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        label = "warning: " if self.severity is Severity.WARNING else ""
        lines = [f"{place if self.file else ''}{label}{self.message}"]
        if self.line:
            # Tabs are kept in front of the caret, so that it stands under its character.
            before = self.source_line[: self.column - 1]
            lead = "".join(c if c == "\t" else " " for c in before)
            caret = "^" + "~" * (self.width - 1)
            lines += [f"    {self.source_line}", f"    {lead}{caret}"]
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The complaint for machines; the keys are part of the interface of `pingpy -t --json`."""
        return {
            "severity": str(self.severity),
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "key": dotted(self.path),
            "message": self.message,
            "help": self.help,
        }


def dotted(path: Sequence[str | int]) -> str:
    """A key's path as people write it: proxy.rules[1].path."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def render_complaints(complaints: Sequence[Complaint]) -> str:
    """All complaints in file order, the first MAX_COMPLAINTS_SHOWN in full."""
    shown = [complaint.render() for complaint in complaints[:MAX_COMPLAINTS_SHOWN]]
    hidden = len(complaints) - len(shown)
    if hidden:
        shown.append(f"... and {hidden} more")
    return "\n".join(shown)


class PingpyError(Exception):
    """The root of the tree."""


class ConfigError(PingpyError):
    """The configuration is refused; `complaints` holds everything found wrong, warnings included."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(complaints)
        self.complaints: tuple[Complaint, ...] = tuple(complaints)

    def __str__(self) -> str:
        return render_complaints(self.complaints)


class BootError(PingpyError):
    """No worker became ready, or the master could not get what it needs from the host."""


class Source(StrEnum):
    """Whose fault a ProxyError is."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    INTERNAL = "internal"


class ProxyError(PingpyError):
    """One exchange failed: whose fault it is, may another peer be tried, what the client sees."""

    default_source: ClassVar[Source] = Source.INTERNAL
    default_status: ClassVar[int] = 500
    default_retry: ClassVar[bool] = False

    def __init__(
        self,
        message: str = "",
        *,
        source: Source | None = None,
        retry: bool | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.source = self.default_source if source is None else source
        self.retry = self.default_retry if retry is None else retry
        self.status = self.default_status if status is None else status

    def __repr__(self) -> str:
        retry = ", may be retried" if self.retry else ""
        return f"<{type(self).__name__} {self.source} {self.status}{retry}: {self}>"


class DownstreamError(ProxyError):
    """The client broke a rule or a deadline, or left."""

    default_source = Source.DOWNSTREAM
    default_status = 400


class BadRequest(DownstreamError):  # noqa: N818 - the name is what HTTP calls it
    """The request cannot be accepted as it was sent; `status` says which way."""


class ClientGone(DownstreamError):  # noqa: N818
    """The client closed its connection; 499 stands in the log, nobody sees it."""

    default_status = 499


class ClientTimeout(DownstreamError):  # noqa: N818
    """The client was too slow with its head or its body."""

    default_status = 408


class UpstreamError(ProxyError):
    """The origin failed us."""

    default_source = Source.UPSTREAM
    default_status = 502


class ConnectFailed(UpstreamError):  # noqa: N818
    """No connection to the peer; nothing was sent, so any method may go to another peer."""

    default_retry = True


class ConnectTimeout(UpstreamError):  # noqa: N818
    """The peer did not accept in time; nothing was sent, so any method may go to another peer."""

    default_status = 504
    default_retry = True


class TlsFailed(UpstreamError):  # noqa: N818
    """The peer's TLS handshake or certificate was not acceptable."""


class UpstreamTimeout(UpstreamError):  # noqa: N818
    """The peer accepted the request but did not answer in time."""

    default_status = 504


class UpstreamClosed(UpstreamError):  # noqa: N818
    """The peer closed before its answer was complete."""


class BadResponse(UpstreamError):  # noqa: N818
    """The peer's answer breaks HTTP in a way that we do not pass on."""


class InternalError(ProxyError):
    """A phase of the application raised; only this request is lost."""
