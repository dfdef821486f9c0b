/* gRPC over HTTP/2, as far as one conversation needs it: a client that counts its messages, and an origin that echoes.
 * Each message carries its number; one that comes twice, late or not at all is an error of the call. */
#define _GNU_SOURCE
#include "loop.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 9, LARGEST = 16384, TEXT = 64, MESSAGE = 5 + TEXT };
enum { DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };
enum { DEFAULT_WINDOW = 65535, LIMIT = 0x7fffffff };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_BYTES = sizeof PREFACE - 1 };

struct frames {
    unsigned char in[HEAD + LARGEST], out[4 * LARGEST];
    size_t in_bytes, out_bytes;
};

struct call {
    struct frames frames;
    const char *path;
    uint32_t stream, number, count, peer_window;    /* number: of messages that are back */
    long long stream_window, connection_window;     /* what the proxy lets us send */
    int got, waiting;                               /* octets of the next echo; for a window, with a turn to send */
    unsigned char expected[MESSAGE];
};

static uint32_t four(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static void put_four(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = value >> (24 - 8 * i);
}

static int put(struct frames *f, int kind, int flags, uint32_t stream, const void *payload, size_t size) {
    unsigned char *at = f->out + f->out_bytes;
    if (f->out_bytes + HEAD + size > sizeof f->out) return -1;
    put_four(at, (uint32_t)size << 8 | kind);
    at[4] = flags;
    put_four(at + 5, stream);
    memcpy(at + HEAD, payload, size);
    f->out_bytes += HEAD + size;
    return 0;
}

/* No window of ours ever shuts: what is measured is the proxy's own. */
static void put_opening(struct frames *f) {
    unsigned char setting[6] = {0, 4}, more[4];
    put_four(setting + 2, LIMIT);
    put(f, SETTINGS, 0, 0, setting, sizeof setting);
    put_four(more, LIMIT - DEFAULT_WINDOW);
    put(f, WINDOW, 0, 0, more, sizeof more);
}

static unsigned char *put_text(unsigned char *at, const char *text) {
    *at = strlen(text);
    memcpy(at + 1, text, *at);
    return at + 1 + *at;
}

/* HPACK (RFC 7541 6.2.2): a literal that goes into no table; its name is one of the static table, or index 0 and `name`. */
static unsigned char *put_field(unsigned char *at, int index, const char *name, const char *value) {
    *at++ = index < 15 ? index : 15;
    if (index >= 15) *at++ = index - 15;
    if (!index) at = put_text(at, name);
    return put_text(at, value);
}

/* Takes what has come into the buffer; 1 with a whole frame there, 0 without, -1 when it is too large. */
static int whole(struct frames *f, const char **data, size_t *size) {
    while (*size) {
        size_t wanted = HEAD;
        if (f->in_bytes >= HEAD) wanted += four(f->in) >> 8;
        if (wanted > sizeof f->in) return -1;
        if (f->in_bytes >= HEAD && f->in_bytes == wanted) return 1;
        size_t part = wanted - f->in_bytes < *size ? wanted - f->in_bytes : *size;
        memcpy(f->in + f->in_bytes, *data, part);
        f->in_bytes += part, *data += part, *size -= part;
    }
    return f->in_bytes >= HEAD && f->in_bytes == HEAD + (four(f->in) >> 8);
}

static int acknowledge(struct frames *f, int kind, int flags, size_t size) {
    if (flags & ACK) return 0;
    return put(f, kind, ACK, 0, f->in + HEAD, kind == PING ? size : 0);
}

/* ---- the client */

struct call *call_new(const char *path, uint32_t count) {
    struct call *c = calloc(1, sizeof *c);
    c->path = path;
    c->count = c->number = count;
    c->connection_window = c->peer_window = DEFAULT_WINDOW;
    memcpy(c->frames.out, PREFACE, PREFACE_BYTES);
    c->frames.out_bytes = PREFACE_BYTES;
    put_opening(&c->frames);
    return c;
}

static void put_call(struct call *c) {
    unsigned char block[512], *at = block;
    *at++ = 0x83;                                   /* :method POST */
    *at++ = 0x86;                                   /* :scheme http */
    at = put_field(at, 4, NULL, c->path);
    at = put_field(at, 1, NULL, "example.test");
    at = put_field(at, 31, NULL, "application/grpc");
    at = put_field(at, 0, "te", "trailers");
    at = put_field(at, 0, "user-agent", "grpc-bench/1.0");
    c->stream = c->stream ? c->stream + 2 : 1;
    c->stream_window = c->peer_window;
    put(&c->frames, HEADERS, END_HEADERS, c->stream, block, at - block);
}

static void write_message(struct call *c, unsigned char *at, uint32_t number) {
    memset(at, 'm', MESSAGE);
    put_four(at, 0);
    at[4] = TEXT;
    put_four(at + 5, number);
    put_four(at + 9, c->stream);
}

static void put_turn(struct call *c) {
    unsigned char message[MESSAGE];
    c->waiting = c->stream_window < CALL_TURN * MESSAGE || c->connection_window < CALL_TURN * MESSAGE;
    for (uint32_t i = 1; i <= CALL_TURN && !c->waiting; i++) {
        write_message(c, message, c->number + i);
        put(&c->frames, DATA, c->number + i == c->count ? END_STREAM : 0, c->stream, message, MESSAGE);
        c->stream_window -= MESSAGE;
        c->connection_window -= MESSAGE;
    }
}

void call_ask(struct call *c) {
    if (c->number == c->count) {
        c->number = 0;
        put_call(c);
    }
    c->got = 0;
    put_turn(c);
}

/* Octets of echoes: -1 when they are not what was sent, 1 when the turn is back and the call goes on. */
static int take_echoes(struct call *c, const unsigned char *at, int size) {
    while (size) {
        if (!c->got) write_message(c, c->expected, c->number + 1);
        int part = size < MESSAGE - c->got ? size : MESSAGE - c->got;
        if (c->number == c->count || memcmp(at, c->expected + c->got, part)) return -1;
        at += part, size -= part, c->got += part;
        if (c->got < MESSAGE) return 0;
        c->got = 0;
        c->number++;
    }
    return c->number % CALL_TURN == 0 && c->number < c->count;
}

static int take_frame(struct call *c) {
    unsigned char *payload = c->frames.in + HEAD;
    int size = four(c->frames.in) >> 8, kind = c->frames.in[3], flags = c->frames.in[4];
    uint32_t stream = four(c->frames.in + 5) & LIMIT;
    if (kind == WINDOW && size == 4) {
        if (stream == 0) c->connection_window += four(payload);
        if (stream == c->stream) c->stream_window += four(payload);
        if (c->waiting) put_turn(c);
    } else if (kind == SETTINGS && !(flags & ACK)) {
        for (int at = 0; at + 6 <= size; at += 6) {
            if (payload[at] || payload[at + 1] != 4) continue;
            c->stream_window += (long long)four(payload + at + 2) - c->peer_window;
            c->peer_window = four(payload + at + 2);
        }
        return acknowledge(&c->frames, kind, flags, size);
    } else if (kind == PING) {
        return acknowledge(&c->frames, kind, flags, size);
    } else if (kind == RESET || kind == GOAWAY) {
        return -1;
    } else if (kind == DATA && size) {
        if (flags & (PADDED | END_STREAM) || stream != c->stream) return -1;
        return take_echoes(c, payload, size);
    } else if (kind == HEADERS && flags & END_STREAM) {
        return stream == c->stream && !c->got && c->number == c->count ? 1 : -1;
    }
    return 0;
}

int call_take(struct call *c, const char *data, size_t size) {
    int found, echoed = 0;
    while ((found = whole(&c->frames, &data, &size)) > 0) {
        int verdict = take_frame(c);
        c->frames.in_bytes = 0;
        if (verdict < 0) return -1;
        echoed |= verdict;
    }
    return found < 0 ? -1 : echoed;
}

const char *call_output(struct call *c, size_t *size) {
    *size = c->frames.out_bytes;
    c->frames.out_bytes = 0;
    return (char *)c->frames.out;
}

/* ---- the origin */

struct echo { struct frames frames; int begun; };

int echo_wants(const char *data, size_t size) {
    return size >= PREFACE_BYTES && !memcmp(data, PREFACE, PREFACE_BYTES);
}

struct echo *echo_new(void) {
    struct echo *e = calloc(1, sizeof *e);
    put_opening(&e->frames);
    return e;
}

static int put_status(struct frames *f, uint32_t stream, int trailers) {
    unsigned char block[64], *at = block;
    if (trailers) {
        at = put_field(at, 0, "grpc-status", "0");
    } else {
        *at++ = 0x88;                               /* :status 200 */
        at = put_field(at, 31, NULL, "application/grpc");
    }
    return put(f, HEADERS, END_HEADERS | (trailers ? END_STREAM : 0), stream, block, at - block);
}

static int answer_frame(struct frames *f) {
    int size = four(f->in) >> 8, kind = f->in[3], flags = f->in[4], sent = 0;
    uint32_t stream = four(f->in + 5) & LIMIT;
    if (kind == SETTINGS || kind == PING) return acknowledge(f, kind, flags, size);
    if (kind == HEADERS) sent = put_status(f, stream, 0);
    if (kind == DATA && flags & PADDED) return -1;
    if (kind == DATA && size) {
        origin_counters.requests++;
        sent |= put(f, DATA, 0, stream, f->in + HEAD, size);
    }
    if (kind <= HEADERS && flags & END_STREAM) sent |= put_status(f, stream, 1);
    return sent;
}

int echo_take(struct echo *e, const char *data, size_t size) {
    int found;
    while ((found = whole(&e->frames, &data, &size)) > 0) {
        int sent = answer_frame(&e->frames);
        e->frames.in_bytes = 0;
        if (sent < 0) return -1;
    }
    return found;
}

const char *echo_output(struct echo *e, size_t *size) {
    *size = e->frames.out_bytes;
    e->frames.out_bytes = 0;
    return (char *)e->frames.out;
}
