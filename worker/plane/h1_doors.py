"""Lets Python call the HTTP/1 scanners: for tests, fuzzers and differential checks, never on the request path."""

import cython
from cython.cimports.worker.plane.h1_parse import (
    CHUNK_DATA,
    CHUNK_END,
    CHUNK_MORE,
    Chunks,
    ChunkStep,
    Field,
    Head,
    HeadLimits,
    chunks_begin,
    chunks_next,
    fault_text,
    scan_request,
    scan_response,
    worth_scanning,
)
from cython.cimports.worker.plane.target import (
    bare_host,
    host_port,
    is_host,
    is_normal_path,
    normalise_path,
)


@cython.cfunc
def text(view: cython.uchar[::1], at: cython.longlong, size: cython.longlong) -> bytes:
    """A copy of some octets."""
    return bytes(view[at : at + size])


@cython.cfunc
def as_dict(view: cython.uchar[::1], result: cython.int, head: cython.pointer(Head)) -> dict:
    """Everything a head says, as Python values."""
    start: cython.longlong = head.start
    field: cython.pointer(Field)
    index: cython.int
    fields: list = []
    answer: dict = {"result": result, "fault": fault_text(head.fault)}
    if result <= 0:
        return answer
    for index in range(head.count):
        field = cython.address(head.fields[index])
        fields.append(
            {
                "name": text(view, start + field.name, field.name_size),
                "value": text(view, start + field.value, field.value_size),
                "line": text(view, start + field.name, field.end - field.name),
                "kind": field.kind,
                "hop": bool(field.hop),
                "hash": field.name_hash,
            }
        )
    answer |= {
        "minor": head.minor,
        "flags": head.flags,
        "method": text(view, start, head.method_size),
        "method_number": head.method,
        "target": text(view, start + head.target, head.target_size),
        "path": text(view, start + head.path, head.path_size),
        "query": text(view, start + head.query, head.query_size),
        "authority": text(view, start + head.authority, head.authority_size),
        "line": text(view, start, head.line_size),
        "status": head.status,
        "reason": text(view, start + head.reason, head.reason_size),
        "content_length": head.content_length,
        "first": [head.first[index] for index in range(32)],
        "fields": fields,
    }
    return answer


def read_head(
    data: bytes,
    response: bool = False,
    start: int = 0,
    head_bytes: int = 65536,
    header_count: int = 100,
    line_bytes: int = 16384,
) -> dict:
    """Scan one head that begins at `start`; "result" is what the scanner returned."""
    view: cython.uchar[::1] = bytearray(data)
    head: Head
    limits: HeadLimits
    result: cython.int
    limits.head_bytes = head_bytes
    limits.header_count = header_count
    limits.request_line_bytes = line_bytes
    if response:
        result = scan_response(view, start, len(data), cython.address(head), cython.address(limits))
    else:
        result = scan_request(view, start, len(data), cython.address(head), cython.address(limits))
    return as_dict(view, result, cython.address(head))


def worth(data: bytes, checked: int) -> bool:
    """Whether a scan is worth while, when the octets before `checked` were seen."""
    view: cython.uchar[::1] = bytearray(data)
    return worth_scanning(view, 0, checked, len(data)) != 0


def read_chunks(pieces: list) -> dict:
    """Decode a chunked body that comes in these pieces: data, trailers, what was left over, or the fault."""
    chunks: Chunks
    step: ChunkStep
    view: cython.uchar[::1]
    result: cython.int = CHUNK_MORE
    kept: bytes = b""
    data: list = []
    piece: bytes
    number: cython.int
    chunks_begin(cython.address(chunks))
    for number, piece in enumerate(pieces):
        kept += piece
        view = bytearray(kept)
        step.position = 0
        while True:
            result = chunks_next(
                view, step.position, len(kept), cython.address(chunks), cython.address(step)
            )
            if result != CHUNK_DATA:
                break
            data.append(text(view, step.data_start, step.data_size))
        if result == CHUNK_END:
            kept = kept[step.position :] + b"".join(pieces[number + 1 :])
            break
        if result != CHUNK_MORE:
            return {"end": False, "fault": fault_text(chunks.fault), "data": b"".join(data)}
        kept = kept[step.position :]
    answer: dict = {"end": result == CHUNK_END, "fault": "", "data": b"".join(data), "kept": kept}
    if result == CHUNK_END:
        answer["trailers"] = text(view, step.trailer_start, step.trailer_size)
    return answer


def matching_path(path: bytes, limit: int = 65536):
    """The path that rules are compared with, or None when it is refused."""
    size: cython.int = len(path)
    view: cython.uchar[::1] = bytearray(path) + bytearray(size + 1)
    written: cython.int = normalise_path(view, 0, size, size, min(limit, size + 1))
    return None if written < 0 else text(view, size, written)


def already_normal(path: bytes) -> bool:
    """Whether the path needs no work before matching."""
    view: cython.uchar[::1] = bytearray(path)
    return is_normal_path(view, 0, len(path))


def read_host(host: bytes):
    """The bare host and the port, or None when the text is not a host."""
    size: cython.int = len(host)
    view: cython.uchar[::1] = bytearray(host) + bytearray(size)
    written: cython.int
    if not is_host(view, 0, size):
        return None
    written = bare_host(view, 0, size, size, size)
    return text(view, size, written), host_port(view, 0, size)
