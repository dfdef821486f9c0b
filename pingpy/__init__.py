"""pingpy: the vocabulary that operators and programmers meet; it knows no process and no socket."""

from pingpy.app import Filter, Maybe, ProxyApp, WorkerInfo, serve
from pingpy.http import Headers, Request, Response
from pingpy.peer import Peer
from pingpy.session import Address, Session

__all__ = [
    "Address",
    "Filter",
    "Headers",
    "Maybe",
    "Peer",
    "ProxyApp",
    "Request",
    "Response",
    "Session",
    "WorkerInfo",
    "serve",
]

__version__ = "0.1.0"
