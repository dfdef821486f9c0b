"""Mistakes between keys: each is told where it can be mended."""

import pytest

from pingpy.config.load import examine
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError
from pingpy.log_format import PRESETS


def told(text):
    """Everything said about a text, each as line:column: (warning: )message."""
    source = ConfigSource("c.toml", text.encode())
    try:
        complaints = examine(source).warnings()
    except ConfigError as error:
        complaints = error.complaints
    warn = {"warning": "warning: ", "error": ""}
    return [f"{c.line}:{c.column}: {warn[c.severity]}{c.message}" for c in complaints]


RULE = '[[proxy.rules]]\nupstream = "http://a"\n'
BACKEND = '[[load_balancing.backends]]\nname = "one"\naddress = "10.0.0.1:80"\n'
POOL = '[[pools]]\nname = "web"\npeers = [{ address = "10.0.0.1:80" }]\n'
USE_POOL = '[[proxy.rules]]\nupstream = "web"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[global]\nworker_threads = 1\nworker_processes = 1\n",
            ['3:1: "worker_processes" and "worker_threads" in [global] are one setting'],
        ),
        (
            "[global]\ndrain_timeout = 1\n[timeouts]\ndrain = 1\n",
            ['4:1: "drain" and "drain_timeout" in [global] are one setting'],
        ),
        (
            '[global]\nlog_level = "info"\n[log]\nlevel = "info"\n',
            ['4:1: "level" and "log_level" in [global] are one setting'],
        ),
        # listeners
        ("[network]\nlisten = []\n", ["2:10: expected at least one address, found an empty list"]),
        (
            '[network]\nlisten = ["0.0.0.0:80", "http://0.0.0.0:80"]\n',
            ["2:25: 0.0.0.0:80 is listened on twice"],
        ),
        (
            '[network]\nlisten = [":80", "[0::]:80"]\n',
            ['2:18: [::]:80 is listened on twice (as ":80")'],
        ),
        (
            '[network]\nlisten = ["127.0.0.1:80", "0.0.0.0:80", "[::1]:81", "[::]:81"]\n',
            ["2:27: 0.0.0.0:80 overlaps 127.0.0.1:80", "2:53: [::]:81 overlaps [::1]:81"],
        ),
        (
            '[network]\nlisten = ":80"\n[metrics]\nlisten = "127.0.0.1:80"\n',
            ["4:10: 127.0.0.1:80 overlaps 0.0.0.0:80"],
        ),
        (
            '[network]\nlisten = ["0.0.0.0:80", "[::1]:80", "127.0.0.1:81", "127.0.0.2:81"]\n',
            [],
        ),
        (
            '[network]\nlisten = ["unix:/a", "unix:/a"]\n',
            ["2:22: unix:/a is listened on twice"],
        ),
        (
            '[network]\nlisten = "https://127.0.0.1:1"\n',
            ["2:10: https://127.0.0.1:1 has no certificate"],
        ),
        # PROXY protocol
        (
            "[network]\nproxy_protocol = true\n",
            ["2:1: it is not said whose PROXY headers are to be believed"],
        ),
        (
            '[network]\nproxy_protocol = true\ntrusted_proxies = ["10.0.0.0/8"]\n',
            [],
        ),
        ("[network]\nproxy_protocol = false\n", []),
        (
            '[network]\nproxy_protocol = ["10.0.0.0/8", "::/0"]\n',
            ["2:1: warning: anybody may send a PROXY header and be whoever they like"],
        ),
        (
            '[network]\nlisten = [":80", "127.0.0.1:81"]\n[network.proxy_protocol]\n'
            'from = "loopback"\nlisteners = ["0.0.0.0:80", "127.0.0.1:82"]\n',
            ["5:28: 127.0.0.1:82 is not listened on"],
        ),
        (
            '[[proxy.rules]]\nrespond = 204\nsend_proxy_protocol = "v2"\n',
            ['3:1: "send_proxy_protocol" needs "upstream"'],
        ),
        # TLS towards origins
        (
            '[[proxy.rules]]\nupstream = "https://a"\ntls = { certificate = "c" }\n',
            ['3:9: "certificate" needs "key"'],
        ),
        (
            '[[proxy.rules]]\nupstream = "https://a"\ntls = { verify = false }\n',
            [
                "3:18: warning: the origin's certificate is not looked at: "
                "whoever answers gets the requests"
            ],
        ),
        (
            '[[proxy.rules]]\nupstream = "https://a"\ntls = { verify = false, ca = "c" }\n',
            [
                "3:18: warning: the origin's certificate is not looked at: "
                "whoever answers gets the requests",
                '3:25: "ca" means nothing with verify = false',
            ],
        ),
        (
            RULE + 'tls = { ca = "c" }\n',
            ['3:1: warning: "tls" is not used: no origin here is https://'],
        ),
        (
            POOL + 'tls = { ca = "c" }\n' + USE_POOL,
            ['4:1: warning: "tls" is not used: no origin here is https://'],
        ),
        (
            '[[proxy.rules]]\nupstream = "https://unix:/run/a"\n',
            ["1:1: TLS over a Unix socket: there is no host that the certificate could be for"],
        ),
        (
            '[[proxy.rules]]\nupstream = "https://unix:/run/a"\ntls = { server_name = "a" }\n',
            [],
        ),
        (
            '[[proxy.rules]]\nrespond = 204\ntls = { ca = "c" }\n',
            ['3:1: "tls" needs "upstream"'],
        ),
        (
            '[[proxy.rules]]\nupstream = "https://a"\ntls = { server_name = "https://b" }\n',
            ['3:23: "https://b" is neither a host name nor an address'],
        ),
        # certificates
        (
            '[network]\nssl_certificate_key = "k"\n',
            ['2:1: "ssl_certificate_key" needs "ssl_certificate"'],
        ),
        ('[network]\nlisten = "127.0.0.1:443"\n', ["2:10: 127.0.0.1:443 has no certificate"]),
        (
            '[[network.tls]]\ncertificate = "c"\nkey = "k"\nclient_verify = "required"\n',
            ['4:17: client_verify = "required" needs "client_ca"'],
        ),
        # health
        (
            "[health_check]\ninterval = 5\ntimeout = 10\n",
            ["3:11: warning: the timeout (10 s) is longer than the interval (5 s)"],
        ),
        (
            '[health_check]\ntype = "tcp"\npath = "/x"\n',
            ['3:1: warning: "path" is not used by probes of type "tcp"'],
        ),
        (
            "[health_check]\ninterval = 2\ntimeout = 1\n"
            + POOL
            + "health_check = { timeout = 3 }\n"
            + USE_POOL,
            ["7:28: warning: the timeout (3 s) is longer than the interval (2 s)"],
        ),
        # modules
        (
            '[[modules]]\npath = "a.py"\nclass = "A"\n[[modules]]\npath = "b.py"\nclass = "A"\n',
            ['6:9: there are two modules named "a"'],
        ),
        (RULE + 'filters = ["auht"]\n', ['3:12: there is no module "auht"']),
        # log
        ('[log]\nformat = "combind"\n', ['2:10: "combind" is not a format of the access log']),
        (
            '[log]\nformat = "$http_ $status"\n',
            ["2:10: unknown variable $http_"],
        ),
        (
            '[log]\nformat = "$statos ${http_x} $sent_http_y"\n',
            ["2:10: unknown variable $statos"],
        ),
        # names
        (
            '[[pools]]\nname = "default"\npeers = [{ address = "a:1" }]\n[[proxy.rules]]\n'
            'upstream = "default"\n',
            ['2:8: "default" is the name of the pool made of [[load_balancing.backends]]'],
        ),
        (POOL + POOL + USE_POOL, ['5:8: there are two pools named "web"']),
        (
            POOL + BACKEND.replace("one", "web") + USE_POOL,
            ['5:8: the name "web" is taken by a pool'],
        ),
        (BACKEND + BACKEND.replace("0.1", "0.2"), ['5:8: the name "one" is taken by a backend']),
        (
            BACKEND + 'group = "one"\n',
            ['4:9: the name "one" is taken by a backend'],
        ),
        (
            BACKEND + BACKEND.replace("one", "two"),
            ["6:11: 10.0.0.1:80 is in the default pool twice"],
        ),
        (
            BACKEND + "weight = 0\n",
            [
                "4:10: warning: every weight in the default pool is 0: "
                "requests are answered with 503"
            ],
        ),
        (POOL, ['2:8: warning: no rule uses the pool "web"']),
        (BACKEND + 'group = "g"\n', ['4:9: warning: no rule uses the group "g"']),
        # rules
        ("[[proxy.rules]]\npath = '/a'\n", ["1:1: the rule leads nowhere"]),
        (RULE + 'redirect = "/x"\n', ['3:1: "upstream" and "redirect" exclude each other']),
        ('[[proxy.rules]]\nrespond = 204\nrewrite = "/x"\n', ['3:1: "rewrite" needs "upstream"']),
        (
            '[[proxy.rules]]\nupstream = "wbe"\n' + POOL + USE_POOL + 'path = "/x"\n',
            [
                '2:12: there is no pool or backend "wbe"',
                "6:1: warning: the rule is shadowed: rule 1 matches all its requests",
            ],
        ),
        (
            '[[proxy.rules]]\nupstream = ["http://a", "web"]\n' + POOL,
            ['2:25: the pool "web" cannot be part of a list'],
        ),
        (
            '[[proxy.rules]]\nupstream = ["http://a", "http://A:80/"]\n',
            ["2:25: a:80 is in this list twice"],
        ),
        (
            BACKEND + '[[proxy.rules]]\nupstream = "http://one:8080"\n',
            ['5:12: warning: "one" is a backend: its address 10.0.0.1:80 is used'],
        ),
        (
            RULE + 'header = "A: 1"\nheader_value = "2"\n',
            ['4:1: "header_value" needs a single `header` without a value'],
        ),
        (RULE + "path = []\n", ['3:8: "path" is an empty list']),
        (
            RULE + 'set_request_header = { X-A = "1", x-a = "2" }\n',
            ['3:22: the header "x-a" is in "set_request_header" twice'],
        ),
        (
            RULE + 'set_request_header = { Host = ["a", "b"] }\n',
            ["3:22: a request has exactly one Host header"],
        ),
        (
            RULE + 'host = "upstream"\nforward_host = "client"\n',
            ['3:8: host = "upstream" and "forward_host" are one setting'],
        ),
        (
            RULE + 'path = "/a/*"\nrewrite = "/*/*"\n',
            ['4:11: "/*/*" has more * than the path "/a/*"'],
        ),
        (
            RULE + 'path = ["/a/*", "/b/*"]\nrewrite = "/*"\n',
            ["4:11: a * stands for one of `path`, and the rule does not have exactly one path"],
        ),
        (
            RULE + 'rewrite = { regex = "(a", to = "/" }\n',
            [
                "3:21: the regular expression is wrong: "
                "missing ), unterminated subpattern at position 0"
            ],
        ),
        (
            RULE + 'rewrite = { regex = "/(a)", to = "/\\\\2" }\n',
            ['3:34: the regular expression has no group "2"'],
        ),
        (
            RULE + 'rewrite = { regex = "/a", to = "/\\\\q" }\n',
            ['3:32: "\\q" means nothing here'],
        ),
        (
            '[[proxy.rules]]\nredirect = "https://$hots$request_uri"\n',
            ["2:12: unknown variable $hots"],
        ),
        (
            '[[proxy.rules]]\nredirect = "example.com"\n',
            ['2:12: "example.com" is neither a URL nor a path'],
        ),
        (
            RULE + 'path = "/metrics"\n',
            ["3:8: warning: /metrics is the metrics page for those that [metrics] allows"],
        ),
        (
            '[network]\nlisten = ":80"\n[metrics]\nlisten = ["127.0.0.1:9090", "0.0.0.0:80"]\n',
            ['4:29: 0.0.0.0:80 is listened on twice (as ":80")'],
        ),
        (
            '[metrics]\nlisten = ["127.0.0.1:9090", "127.0.0.1:9090"]\n',
            ["2:29: 127.0.0.1:9090 is listened on twice"],
        ),
        (
            '[metrics]\nlisten = "https://127.0.0.1:9090"\n',
            ["2:10: the metrics page is plain HTTP on a listener of its own"],
        ),
        (
            '[metrics]\nenabled = false\nlisten = "127.0.0.1:9090"\n',
            ["3:1: warning: nothing is served there: enabled = false"],
        ),
        (
            RULE + 'grpc = true\nupstream_protocol = "http1"\n',
            ["4:21: gRPC needs HTTP/2 to the origin"],
        ),
        (
            RULE + "grpc_web = true\n",
            ['3:12: "grpc_web" needs "grpc"'],
        ),
        (
            '[[proxy.rules]]\nrespond = 204\nupstream_protocol = "http1"\n',
            ['3:1: "upstream_protocol" needs "upstream"'],
        ),
        (
            '[health_check]\ntype = "grpc"\npath = "/x"\nservice = "a"\n',
            ['3:1: warning: "path" is not used by probes of type "grpc"'],
        ),
        (
            '[health_check]\nservice = "a"\n',
            ['2:1: warning: "service" is not used by probes of type "http"'],
        ),
    ],
)
def test_a_mistake_between_keys(text, expected):
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        POOL + USE_POOL,
        RULE + 'path = "/metrics"\n[metrics]\nenabled = false\n',
        RULE + 'path = "/metrics"\n[metrics]\nlisten = ["127.0.0.1:9090", "unix:/run/m.sock"]\n',
        BACKEND + '[[proxy.rules]]\nupstream = "one"\n',
        BACKEND + '[[proxy.rules]]\nupstream = "http://one"\n',
        BACKEND + 'group = "g"\n[[proxy.rules]]\nupstream = "g"\n',
        RULE + 'path = "/a/*/b/*"\nrewrite = "/*/*"\n',
        RULE + 'rewrite = { regex = "/(?P<x>a)", to = "/\\\\g<x>" }\n',
        '[[proxy.rules]]\npath = "/old/*"\nredirect = { to = "https://$host/new/*", status = 301 }\n',
        '[log]\nformat = "$remote_addr $status $request_time"\n',
        *(f'[log]\nformat = "{preset}"\n' for preset in PRESETS),
        RULE + 'load_balancing = "balancers.mine:Mine"\n',
        '[proxy]\nhost = "upstream"\n' + RULE,
    ],
)
def test_what_is_right_is_not_remarked_on(text):
    assert told(text) == []
