"""What the configuration says of gRPC, once defaults are merged."""

from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource


def resolved(text):
    return resolve(load(ConfigSource("c.toml", text.encode())))


def test_grpc_web_is_translated_where_grpc_is_spoken():
    found = resolved(
        "[proxy]\ngrpc = true\ngrpc_web = true\n"
        '[[proxy.rules]]\nupstream = "http://b"\npath = "/p"\n'
        '[[proxy.rules]]\nupstream = "http://b"\npath = "/q"\ngrpc = false\n'
        '[[proxy.rules]]\nupstream = "http://b"\npath = "/r"\ngrpc_web = false\n'
    )
    assert [rule.grpc_web for rule in found.rules] == [True, False, False]
    assert resolved("[proxy]\ngrpc = true\n").no_match.grpc_web is False


def test_a_grpc_probe_has_a_service():
    found = resolved(
        '[health_check]\ntype = "grpc"\nservice = "a.B"\n[[proxy.rules]]\nupstream = "http://b"\n'
    )
    check = found.pools[0].health_check
    assert (check.type, check.service) == ("grpc", "a.B")
