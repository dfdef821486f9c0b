"""Turns apps and filters into slots, once per worker: None when unused, the method itself, or one loop over several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from inspect import isawaitable
from typing import Any

from pingpy.app import Filter, ProxyApp

Phase = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class BoundPhases:
    """One slot per phase, None when nobody wants it. Whatever a slot returns may be awaitable.

    `new_ctx` makes what is passed as the last argument of every other slot; None: pass None.
    """

    new_ctx: Callable[[], Any] | None = None
    early_request_filter: Phase | None = None
    request_filter: Phase | None = None
    request_body_filter: Phase | None = None
    upstream_peer: Phase | None = None
    connected_to_upstream: Phase | None = None
    upstream_request_filter: Phase | None = None
    upstream_response_filter: Phase | None = None
    response_filter: Phase | None = None
    response_body_filter: Phase | None = None
    response_trailer_filter: Phase | None = None
    fail_to_connect: Phase | None = None
    error_while_proxy: Phase | None = None
    fail_to_proxy: Phase | None = None
    logging: Phase | None = None

    def __bool__(self) -> bool:
        """Whether any phase is wanted at all."""
        return any(getattr(self, name) is not None for name in PHASES)

    def __repr__(self) -> str:
        return f"<BoundPhases {' '.join(name for name in PHASES if getattr(self, name))}>"


PHASES = tuple(field.name for field in fields(BoundPhases) if field.name != "new_ctx")
_ANSWERS_REVERSED = frozenset(name for name in PHASES if "response" in name)
_ANSWERING = frozenset(
    ("request_filter", "upstream_peer", "fail_to_connect", "error_while_proxy", "fail_to_proxy")
)


def bind(*apps: Filter[Any]) -> BoundPhases:
    """The slots of these apps together, in this order.

    Within an app its filters come first and the app last; for responses everything runs the other way round. Each app
    has a ctx of its own, which its filters share.
    """
    owners = [_overridden(app, "new_ctx") for app in apps]
    shared_by_several = len(apps) > 1 and any(owner is not None for owner in owners)
    slots: dict[str, Any] = {"new_ctx": _new_ctx(owners, shared_by_several)}
    for name in PHASES:
        methods: list[Phase] = []
        for index, app in enumerate(apps):
            for part in (*getattr(app, "filters", ()), app):
                method = _overridden(part, name)
                if method is None or (name == "upstream_peer" and part is not app):
                    continue
                methods.append(_with_own_ctx(method, index) if shared_by_several else method)
        if name in _ANSWERS_REVERSED:
            methods.reverse()
        slots[name] = _slot(name, methods)
    return BoundPhases(**slots)


def _overridden(part: Any, name: str) -> Phase | None:
    """The bound method, unless it is the base class's own or missing altogether."""
    method: Phase | None = getattr(part, name, None)
    base = getattr(ProxyApp, name, None)
    return None if method is None or getattr(method, "__func__", None) is base else method


def _new_ctx(owners: list[Phase | None], shared_by_several: bool) -> Callable[[], Any] | None:
    if not shared_by_several:
        return owners[0] if owners else None
    return lambda: [None if owner is None else owner() for owner in owners]


def _with_own_ctx(method: Phase, index: int) -> Phase:
    def narrowed(*arguments: Any) -> Any:
        return method(*arguments[:-1], arguments[-1][index])

    return narrowed


def _slot(name: str, methods: Sequence[Phase]) -> Phase | None:
    if not methods:
        return None
    if len(methods) == 1:
        return methods[0]
    if name.endswith("body_filter"):
        return _pass_on(methods)
    if name == "logging":
        return _every_one(methods)
    return _one_by_one(methods, answered=_answered if name in _ANSWERING else _never)


def _answered(answer: Any) -> bool:
    return answer is not None and answer is not False


def _never(answer: Any) -> bool:
    return False


def _one_by_one(methods: Sequence[Phase], answered: Callable[[Any], bool]) -> Phase:
    """Call one after the other until one answers (a Response, a Peer, True), where the phase has an answer at all."""

    def run(*arguments: Any) -> Any:
        for done, method in enumerate(methods, 1):
            answer = method(*arguments)
            if answer is None:
                continue
            if isawaitable(answer):
                return _await_one_by_one(answer, methods[done:], arguments, answered)
            if answered(answer):
                return answer
        return None

    return run


async def _await_one_by_one(
    pending: Any, rest: Sequence[Phase], arguments: Any, answered: Callable[[Any], bool]
) -> Any:
    answer = await pending
    for method in rest:
        if answered(answer):
            break
        answer = method(*arguments)
        if isawaitable(answer):
            answer = await answer
    return answer if answered(answer) else None


def _pass_on(methods: Sequence[Phase]) -> Phase:
    """Each method gets the chunk that the one before it returned."""

    def run(session: Any, chunk: bytes, end: bool, ctx: Any) -> Any:
        for done, method in enumerate(methods, 1):
            answer = method(session, chunk, end, ctx)
            if isawaitable(answer):
                return _await_pass_on(answer, methods[done:], session, end, ctx)
            chunk = answer
        return chunk

    return run


async def _await_pass_on(
    pending: Any, rest: Sequence[Phase], session: Any, end: bool, ctx: Any
) -> Any:
    chunk = await pending
    for method in rest:
        answer = method(session, chunk, end, ctx)
        chunk = await answer if isawaitable(answer) else answer
    return chunk


def _every_one(methods: Sequence[Phase]) -> Phase:
    """All of them, even when one raises: no filter loses its last phase to another's fault."""

    def run(*arguments: Any) -> Any:
        first: Exception | None = None
        pending = []
        for method in methods:
            try:
                answer = method(*arguments)
            except Exception as error:
                first = first or error
            else:
                if isawaitable(answer):
                    pending.append(answer)
        if pending:
            return _await_every_one(pending, first)
        if first is not None:
            raise first
        return None

    return run


async def _await_every_one(pending: Sequence[Any], first: Exception | None) -> None:
    for answer in pending:
        try:
            await answer
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
