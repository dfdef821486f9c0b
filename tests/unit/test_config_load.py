"""Every mistake of a single key, word for word: the message, its place, the help."""

import pytest

from pingpy.config.load import examine, load
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError

RULE = '[[proxy.rules]]\nupstream = "http://a"\n'


def refused(text):
    """The complaints about a text, each as line:column: message | help."""
    with pytest.raises(ConfigError) as error:
        load(ConfigSource("c.toml", text.encode()))
    complaints = error.value.complaints
    assert all(c.file == "c.toml" for c in complaints)
    return [
        f"{c.line}:{c.column}: {c.message}{f' | {c.help}' if c.help else ''}" for c in complaints
    ]


DURATION = 'a duration is a number of seconds, or a string such as "250ms", "10s", "5m"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # syntax
        ("a = \n", "1:5: invalid value"),
        ("[log]\nlevel = 1\nlevel = 2\n", "3:10: this key has a value already"),
        ("[global]\n[global]\n", "2:8: the table [global] is there twice"),
        ("[proxy]\nx = [", "2:6: invalid value"),
        # unknown keys
        (
            '[global]\nlog_levl = "info"\n',
            '2:1: unknown key "log_levl" in [global] | did you mean "log_level"?',
        ),
        ("[proxi]\na = 1\n", '1:1: unknown key "proxi" at the top level | did you mean "proxy"?'),
        (
            'listen = [":80"]\n',
            '1:1: unknown key "listen" at the top level | "listen" belongs to [network] or [metrics]',
        ),
        (
            '[global]\nssl_certificate = "x"\n',
            '2:1: unknown key "ssl_certificate" in [global] | "ssl_certificate" belongs to [network]',
        ),
        (
            '[log]\nupstreem = "x"\n',
            '2:1: unknown key "upstreem" in [log] | did you mean "upstream" of [[proxy.rules]]?',
        ),
        (
            "[log]\nzzz = 1\n",
            '2:1: unknown key "zzz" in [log] | known keys: format, level',
        ),
        # keys of later versions
        (
            RULE + "cache = true\n",
            '3:1: "cache" in [[proxy.rules]] is not available in this version',
        ),
        ("[tracing]\n", '1:1: "tracing" at the top level is not available in this version'),
        (
            "[network]\ntcp_fast_open = true\n",
            '2:1: "tcp_fast_open" in [network] is not available in this version',
        ),
        (
            '[global]\naccess_log = "syslog:server=127.0.0.1"\n',
            '2:14: a log cannot go to "syslog:server=127.0.0.1" in this version'
            ' | name a file, or "stderr"',
        ),
        # types
        (
            '[global]\nworker_threads = "four"\n',
            '2:18: expected a whole number from 1 to 512, or "auto", found "four"',
        ),
        (
            '[global]\nlog_level = "loud"\n',
            '2:13: expected "debug", "info", "warn" or "error", found "loud"',
        ),
        (
            '[global]\nprobation = "10 parsecs"\n',
            f'2:13: expected a duration, found "10 parsecs" | {DURATION}',
        ),
        (
            "[timeouts]\nheader = 0\n",
            f"2:10: expected a duration of at least 1ms, found 0 | {DURATION}",
        ),
        (
            '[limits]\nheader_bytes = "64 miles"\n',
            '2:16: expected a size, found "64 miles" '
            '| a size is a number of bytes, or a string such as "64KiB", "1MiB"',
        ),
        (
            '[limits]\nwaiting_bytes = "a lot"\n',
            '2:17: expected a size, found "a lot" '
            '| a size is a number of bytes, or a string such as "64KiB", "1MiB"',
        ),
        (
            "[network]\nbacklog = 0\n",
            "2:11: expected a number from 1 to 65535, found 0 "
            "| backlog: connections the kernel queues per socket",
        ),
        (
            '[network]\nbacklog = "4096"\n',
            '2:11: expected a whole number, found "4096" '
            "| backlog: connections the kernel queues per socket",
        ),
        (
            "[network]\nio_uring = 1\n",
            "2:12: expected true or false, found 1 "
            "| io_uring: send and receive in batches where the kernel can",
        ),
        (
            "[network]\nlisten = 80\n",
            "2:10: expected a string or a list of strings, found 80 "
            "| listen: addresses: host:port, :port, http://..., https://..., unix:/path",
        ),
        (
            "[network]\nlisten = [80]\n",
            "2:11: expected a string, found 80",
        ),
        (
            '[network]\nreuse_port = "yes"\n',
            '2:14: expected "slots" or "shared", found "yes" | reuse_port: "slots": a socket per '
            'worker; "shared": one for all; default: slots when there is more than one worker',
        ),
        ("global = 1\n", "1:10: expected a table, found 1 | global: the process"),
        ("[pools]\nname = 1\n", "1:1: expected a list, found a table | pools: named sets of peers"),
        # required keys
        (
            '[[load_balancing.backends]]\nname = "a"\n',
            '1:1: missing key "address" in [[load_balancing.backends]] '
            "| address: host:port, unix:/path or https://host:port",
        ),
        (
            '[[load_balancing.backends]]\nname = "a"\nadress = "b:1"\n',
            '3:1: unknown key "adress" in [[load_balancing.backends]] | did you mean "address"?',
        ),
        # addresses
        (
            '[network]\nlisten = ["0.0.0.0:80", "[::]"]\n',
            '2:25: the port is missing in "[::]" | write "0.0.0.0:80", "[::]:80", ":80" (both), '
            '"http://127.0.0.1:8080" or "unix:/run/web.sock"',
        ),
        (
            '[[proxy.rules]]\nupstream = "http://a:80/b"\n',
            '2:12: the URL of an upstream has no path, found "http://a:80/b" '
            '| write "http://a:80", and `rewrite` to change the path',
        ),
        # routing
        (
            RULE + 'load_balancing = "round_robbin"\n',
            '3:18: unknown algorithm "round_robbin" | did you mean "round_robin"? known: round_robin, '
            "weighted_round_robin, least_conn, least_connections, random, power_of_two, ip_hash, "
            'consistent_hash, hash, or "module:Class"',
        ),
        (
            '[[load_balancing.backends]]\nname = "a"\naddress = "b:1"\nweight = 65536\n',
            "4:10: expected a number from 0 to 65535, found 65536 "
            "| weight: its share of the traffic; 0: drained",
        ),
        (
            '[[load_balancing.backends]]\nname = "a b"\naddress = "b:1"\n',
            '2:8: "a b" is not a name | a name has letters, digits, and . _ - between them',
        ),
        (
            RULE + 'path = "api/*"\n',
            '3:8: a path starts with / or *, found "api/*" | did you mean "/api/*"?',
        ),
        (
            RULE + 'path = ["/a", "/**"]\n',
            '3:15: bad pattern "/**": "**" | a single "*" already matches / and nothing',
        ),
        (
            RULE + 'path = "/a/../b"\n',
            '3:8: "/a/../b" can never match: paths are compared after . and .. are resolved',
        ),
        (
            RULE + 'path = "/a?b=c"\n',
            '3:8: "/a?b=c" can never match: a path ends before ? and # '
            "| use the key `query` for what comes after the ?",
        ),
        (
            RULE + 'path = "/a%20b"\n',
            '3:8: bad pattern "/a%20b": paths are compared after decoding %XX '
            "| write the character itself",
        ),
        (
            RULE + 'host = "example.com:80"\n',
            '3:8: hosts are compared without the port, found "example.com:80"',
        ),
        (
            RULE + 'host = "http://a"\n',
            '3:8: "http://a" is not a host | write "example.com" or "*.example.com"',
        ),
        (
            RULE + 'method = "get"\n',
            '3:10: unknown method "get" | methods are upper case: did you mean "GET"?',
        ),
        (
            RULE + 'method = ["GET", "CONNECT"]\n',
            "3:18: a rule for CONNECT can never match | CONNECT is answered with 405",
        ),
        (
            RULE + 'header = "X Y"\n',
            '3:10: "X Y" is not a header name | a name has letters, digits and - only',
        ),
        (
            RULE + 'query = "=1"\n',
            '3:9: the name is missing in "=1" | write "name" or "name=value"',
        ),
        (
            RULE + 'set_request_header = { "X Y" = "z" }\n',
            '3:24: "X Y" is not a header name | a name has letters, digits and - only',
        ),
        (
            RULE + 'set_request_header = { X = "a\\r\\nb" }\n',
            '3:28: a header value must not contain control characters, found "a\\r\\nb"',
        ),
        (
            RULE + 'set_response_header = { X = " a" }\n',
            '3:29: a header value must not begin or end with a space, found " a"',
        ),
        (
            RULE + 'add_request_header = { Connection = "close" }\n',
            '3:24: the header "Connection" is set by the proxy alone '
            "| it decides how messages are framed",
        ),
        (
            RULE + 'remove_request_header = ["Host"]\n',
            "3:26: a request has exactly one Host header "
            '| use set_request_header, or forward_host = "upstream"',
        ),
        (
            RULE + "retry = 21\n",
            "3:9: expected a number from 0 to 20, found 21 | attempts: tries after the first",
        ),
        (
            RULE + 'retry = { on = ["conect"] }\n',
            '3:16: expected "connect", "closed", "timeout" or a status, found "conect"',
        ),
        (
            "[health_check]\nexpected_status = [200, 700]\n",
            '2:19: expected a status from 100 to 599, or a class such as "2xx", found 700',
        ),
        (
            '[health_check]\npath = "healthz"\n',
            '2:8: expected a text that matches ^/[!-~]*$, found "healthz" | path: requested path',
        ),
        (
            '[[pools]]\nname = "a"\npeers = []\n',
            "3:9: expected at least one, found an empty list | peers: its members",
        ),
        (
            '[metrics]\nallow = ["everyone"]\n',
            '2:9: expected an address or a network, found "everyone" '
            '| write "10.0.0.0/8", "2001:db8::/32", a single address, "loopback" or "unix"',
        ),
        (
            '[[modules]]\npath = "a.py"\nclass = "a b"\n',
            '3:9: expected a text that matches ^[A-Za-z_]\\w*$, found "a b" | class: the class in it',
        ),
        (
            "[global]\ncontrol_users = [true]\n",
            "2:17: expected the name or number of a user, found `true`",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_way_out(text, expected):
    assert refused(text) == [expected]


def test_all_mistakes_are_told_at_once_with_those_between_keys():
    text = """\
[global]
worker_threads = "four"
[network]
listen = [":80", ":80"]
[[proxy.rules]]
pth = "/a"
upstream = "http://a/b"
[[proxy.rules]]
upstream = "nowhere"
"""
    assert [line.split(" |")[0] for line in refused(text)] == [
        '2:18: expected a whole number from 1 to 512, or "auto", found "four"',
        "4:18: 0.0.0.0:80 is listened on twice",
        '6:1: unknown key "pth" in [[proxy.rules]]',
        '7:12: the URL of an upstream has no path, found "http://a/b"',
        '9:12: there is no pool or backend "nowhere"',
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a = 1\nb = '\xff'\n", "2:6: the file is not UTF-8 at this point"),
        (
            b"\xef\xbb\xbfa = 1\n",
            "1:1: the file begins with a byte order mark: save it without one",
        ),
    ],
)
def test_files_that_are_no_text(raw, expected):
    with pytest.raises(ConfigError) as error:
        load(ConfigSource("c.toml", raw))
    (complaint,) = error.value.complaints
    assert f"{complaint.line}:{complaint.column}: {complaint.message}" == expected


def test_an_empty_file_is_a_configuration():
    assert load(ConfigSource("c.toml", b"")).network.listen == ("127.0.0.1:8080",)


def test_keys_and_tables_with_x_are_left_to_modules():
    config = load(ConfigSource("c.toml", f'x_a = 1\n[x_b]\nc = 2\n{RULE}x_note = "hi"\n'.encode()))
    assert config.extensions == {"x_a": 1, "x_b": {"c": 2}}
    assert config.proxy.rules[0].extensions == {"x_note": "hi"}


def test_a_header_whose_name_begins_with_x_is_no_extension():
    text = RULE + 'set_request_header = { x_custom = "1" }\n'
    config = load(ConfigSource("c.toml", text.encode()))
    assert config.proxy.rules[0].set_request_header == {"x_custom": ("1",)}


def test_warnings_are_kept_apart_and_placed_only_when_asked_for():
    examined = examine(ConfigSource("c.toml", b"[health_check]\ninterval = 1\n"))
    (warning,) = examined.warnings()
    assert warning.render() == (
        "c.toml:2:12: warning: the timeout (5 s) is longer than the interval (1 s)\n"
        "    interval = 1\n"
        "               ^\n"
        "  help: 1 s is used for both"
    )


def test_a_configuration_cannot_be_changed():
    config = load(ConfigSource("c.toml", b""))
    with pytest.raises(ValueError, match="frozen"):
        config.network.backlog = 1
