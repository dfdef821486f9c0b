"""Whether it is clear who may send PROXY headers, and where they are expected."""

from __future__ import annotations

from collections.abc import Iterator

from pingpy.config.addresses import parse_listen
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.patterns import closest
from pingpy.config.schema import Config


def check_proxy_protocol(config: Config) -> Iterator[Finding]:
    """Findings about [network] proxy_protocol."""
    network = config.network
    header = network.proxy_protocol
    if header is None:
        return
    place: Path = ("network", "proxy_protocol")
    networks = network.trusted_proxies if header.from_ is None else header.from_
    if not networks:
        # Whoever may send the header may be anybody: there is no default for that.
        yield Finding(
            place, "it is not said whose PROXY headers are to be believed",
            'write proxy_protocol = ["10.0.0.0/8"] with the proxies\' networks, or set trusted_proxies',
            on_key=True,
        )  # fmt: skip
    if set(networks) & {"0.0.0.0/0", "::/0"}:
        yield warning(
            place, "anybody may send a PROXY header and be whoever they like", on_key=True
        )
    listened = {address for text in network.listen for address in parse_listen(text)}
    places = {(a.host, a.port, a.unix_path) for a in listened}
    for index, text in enumerate(header.listeners):
        if any((a.host, a.port, a.unix_path) not in places for a in parse_listen(text)):
            advice = closest(text, network.listen) or "name an address of `listen`"
            yield Finding((*place, "listeners", index), f"{text} is not listened on", advice)
