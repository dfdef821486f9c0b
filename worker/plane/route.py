"""Where a request goes: routes with everything that was configured for them, and the table that finds one."""

import array

import cython
from cython.cimports.worker.plane.h1_parse import F_X_FORWARDED_FOR
from cython.cimports.worker.plane.hashing import address_hash, crc32_view, lower
from cython.cimports.worker.plane.hook_slots import slots_of
from cython.cimports.worker.plane.rules import RuleSet

from worker.plane.hashing import name_hash


@cython.cclass
class HeaderEdits:
    """Names that are not copied, and lines that are appended."""

    def __init__(self, drops, lines: bytes):
        """`drops`: names of fields that are not copied, bytes; `lines`: complete field lines."""
        pairs = sorted((name_hash(name), name) for name in {name.lower() for name in drops})
        self.drop_hashes = array.array("I", [pair[0] for pair in pairs])
        self.drop_names = [pair[1] for pair in pairs]
        self.lines = lines
        self.sets_host = b"host" in self.drop_names

    def drops(self, view, name, size, hashed):
        """Whether a field of this name (at `name` in the view) is not copied."""
        place: cython.Py_ssize_t
        byte: cython.int
        wanted: bytes
        for place in range(self.drop_hashes.shape[0]):
            if self.drop_hashes[place] != hashed:
                continue
            wanted = self.drop_names[place]
            if len(wanted) != size:
                continue
            for byte in range(size):
                if lower(view[name + byte]) != cython.cast(cython.uchar, wanted[byte]):
                    break
            else:
                return True
        return False

    def as_text(self):
        """(dropped names, appended lines): for `pingpy -T`, status and tests."""
        return self.drop_names, self.lines

    def drops_name(self, name: bytes):
        """drops(), from Python."""
        view: cython.uchar[::1] = bytearray(name)
        return bool(self.drops(view, 0, len(name), name_hash(name)))


@cython.cclass
class Route:
    """One rule's consequences. Times in milliseconds; 0 means the general setting."""

    def __init__(self, label: bytes, *, pool=None, statuses=(), **options):
        self.label = label
        self.pool = pool
        self.max_body_bytes = -1
        self.retry_connect = True
        self.retry_closed = True
        self.retry_attempts = 2
        self.retry_budget = 0.2
        self.retry_statuses = None  # an unset view is not None
        if statuses:
            table = bytearray(600)
            for status in statuses:
                table[status] = 1
            self.retry_statuses = table
        self.set_reply(options)
        self.set_timings(options)
        if options:
            raise TypeError(f"unknown: {', '.join(options)}")

    def set_reply(self, options):
        """What is answered or changed."""
        self.reply_kind = options.pop("reply_kind", 0)
        self.reply_status = options.pop("reply_status", 0)
        self.reply_head = options.pop("reply_head", b"")
        self.reply_body = options.pop("reply_body", b"")
        self.responder = options.pop("responder", None)
        self.rewrite = options.pop("rewrite", None)
        self.redirect = options.pop("redirect", None)
        self.request_edits = options.pop("request_edits", None)
        self.response_edits = options.pop("response_edits", None)
        self.hooks = slots_of(options.pop("hooks", None))
        self.websocket = options.pop("websocket", False)
        self.grpc = options.pop("grpc", False)
        self.grpc_web = options.pop("grpc_web", False)
        self.h2 = options.pop("h2", self.grpc)
        self.host_from_upstream = options.pop("host_from_upstream", False)
        self.loopback_only = options.pop("loopback_only", False)

    def set_timings(self, options):
        """How long, how large, how often."""
        self.connect_ms = options.pop("connect_ms", 0)
        self.response_ms = options.pop("response_ms", 0)
        self.tunnel_ms = options.pop("tunnel_ms", 0)
        self.body_ms = options.pop("body_ms", 0)
        self.max_body_bytes = options.pop("max_body_bytes", -1)
        self.retry_attempts = options.pop("retry_attempts", 2)
        self.retry_connect = options.pop("retry_connect", True)
        self.retry_closed = options.pop("retry_closed", True)
        self.retry_timeout = options.pop("retry_timeout", False)
        self.retry_budget = options.pop("retry_budget", 0.2)

    def bind(self, hooks):
        """Give the route its bound phases; before the first request only."""
        self.hooks = slots_of(hooks)

    def retries_status(self, status):
        """Whether the rule names this status as a reason to try another peer."""
        if self.retry_statuses is None or not 0 <= status < 600:
            return False
        return self.retry_statuses[status]

    def hash_request(self, arena, head, record):
        """The client's address as nginx hashes it, or the CRC-32 of the target as it was received."""
        if self.pool is None or self.pool.hash_needs == 0:
            return 0
        if self.pool.hash_needs == 1:
            record.client[min(record.client_size, 63)] = 0
            return address_hash(cython.address(record.client[0]))
        return crc32_view(arena.view, head.start + head.target, head.target_size)

    def target(self, arena, head, path, path_size):
        """What the rewrite makes of this request's path and query."""
        return self.rewrite(
            arena.take(path, path_size), arena.take(head.start + head.query, head.query_size)
        )

    def location(self, arena, head, path, path_size, tls):
        """What the redirect's template makes of this request."""
        return self.redirect(
            b"https" if tls else b"http",
            arena.take(head.start + head.authority, head.authority_size),
            arena.take(path, path_size),
            arena.take(head.start + head.query, head.query_size),
            arena.take(head.start + head.target, head.target_size),
        )


@cython.cclass
class RouteTable:
    """All routes in file order, what comes before them and what comes last."""

    def __init__(
        self,
        routes,
        rules: RuleSet,
        *,
        default=None,
        built_in=(),
        aside: RouteTable = None,
        aside_from: cython.int = 0,
    ):
        """`routes`: one per rule, in order; `built_in`: (exact path, Route) pairs. Numbers all, those `aside` too."""
        self.routes = list(routes)
        self.has_tunnels = True in [route.websocket for route in [*self.routes, default] if route]
        if len(self.routes) != rules.count:
            raise ValueError(f"{len(self.routes)} routes for {rules.count} rules")
        self.rules = rules
        self.default = default
        self.built_in = [route for _, route in built_in]
        self.built_in_paths = [path for path, _ in built_in]
        self.built_in_count = len(self.built_in)
        if default is not None and default not in self.routes:
            self.routes.append(default)
        self.routes.extend(self.built_in)
        self.aside = aside
        self.aside_from = aside_from
        if aside is not None:
            self.routes.extend(aside.built_in)
        for index, route in enumerate(self.routes):
            cython.cast(Route, route).index = index

    def of_listener(self, listener):
        """The table for requests that came in there."""
        return self if self.aside is None or listener < self.aside_from else self.aside

    def match(self, arena, head, path, path_size, loopback):
        """A built-in route, the first rule that matches, the default route, or None."""
        index: cython.int
        place: cython.int
        wanted: bytes
        route: Route
        for index in range(self.built_in_count):
            wanted = self.built_in_paths[index]
            if len(wanted) != path_size:
                continue
            for place in range(path_size):
                if arena.view[path + place] != cython.cast(cython.uchar, wanted[place]):
                    break
            else:
                route = self.built_in[index]
                if not route.loopback_only or (
                    loopback and head.first[cython.cast(cython.int, F_X_FORWARDED_FOR)] < 0
                ):
                    return route
        return self.match_rules(arena, head, path, path_size)

    def match_rules(self, arena, head, path, path_size):
        """The first rule that matches, the default route, or None."""
        found: cython.int = self.rules.first(arena.view, head, path, path_size)
        if found < 0:
            return self.default
        return cython.cast(Route, self.routes[found])
