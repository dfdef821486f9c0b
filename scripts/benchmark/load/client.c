/* The client side: N connections that ask as fast as they are answered, at a fixed rate, or once and then rest. */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BUCKET_NS = 5000, BUCKETS = 400000, HEAD_BYTES = 8192 };     /* up to 2 s, 5 us wide */
enum { OPENING = 64 };                  /* so many of those to be held are opened at a time */
enum { MESSAGE_BYTES = 64, FRAME_BYTES = MESSAGE_BYTES + 6, ECHO_BYTES = MESSAGE_BYTES + 2 };   /* of a WebSocket */

struct caller {
    struct connection connection;
    uint64_t asked_ns;
    enum { RESTING, ASKING, HEAD, BODY, CHUNKS, ENDING } state;
    long long body_left;
    char tail[5];                       /* of a chunked body: it ends with 0 CR LF CR LF */
    char *partial;                      /* a head that came in pieces */
    size_t partial_bytes;
    int slot, switched;                 /* to WebSocket: each message is one request from now on */
    struct call *call;                  /* of gRPC: the same */
};

static struct load load;
static struct { uint64_t requests, errors, connections, bytes; } total;
static uint32_t histogram[BUCKETS];
static struct caller **callers, **held;
static int held_count, *idle, idle_count, settled, dialled;
static int busy;
static uint64_t started_ns, end_ns, begun;
static char *request;
static size_t request_bytes;
static char frame[FRAME_BYTES] = {'\x82', '\x80' | MESSAGE_BYTES, 1, 2, 3, 4};

int client_busy(void) { return busy; }

static int more_wanted(uint64_t now) {
    return now < end_ns && (!load.requests || begun < load.requests);
}

static void ask(struct caller *c, uint64_t asked_ns);
static void dial(int slot, uint64_t asked_ns);

/* One more of those to be held has its answer, or never will. */
static void settle(void) {
    settled++;
    if (dialled < load.connections) dial(dialled++, now_ns());
}

static void retire(struct caller *c) {
    callers[c->slot] = NULL;
    free(c->partial);
    free(c->call);
    loop_close(&c->connection);
}

static void lost(struct caller *c) {
    total.errors++;
    int slot = c->slot;
    retire(c);
    uint64_t now = now_ns();
    if (load.hold) settle();
    else if (more_wanted(now)) dial(slot, now);
}

static void answered(struct caller *c) {
    uint64_t now = now_ns(), bucket = (now - c->asked_ns) / BUCKET_NS;
    int each = c->call ? CALL_TURN : 1;
    histogram[bucket < BUCKETS ? bucket : BUCKETS - 1] += each;
    total.requests += each;
    c->state = RESTING;
    if (load.hold) {
        settle();
    } else if (load.close_each) {
        int slot = c->slot;
        retire(c);
        if (more_wanted(now)) dial(slot, now);
    } else if (load.rate > 0) {
        idle[idle_count++] = c->slot;
    } else if (more_wanted(now)) {
        ask(c, now);
    }
}

/* Takes body bytes; 1 when the answer is whole. */
static int take_body(struct caller *c, const char *data, size_t size) {
    if (c->state == BODY) return (c->body_left -= size) <= 0;
    size_t kept = size < sizeof c->tail ? size : sizeof c->tail;
    memmove(c->tail, c->tail + kept, sizeof c->tail - kept);
    memcpy(c->tail + sizeof c->tail - kept, data + size - kept, kept);
    return !memcmp(c->tail, "0\r\n\r\n", 5);
}

/* Reads the head at the start of scratch; 1 whole answer, 2 switched, 0 more to come, -1 not an answer we can use. */
static int take_head(struct caller *c, size_t size) {
    char *end = memmem(scratch, size, "\r\n\r\n", 4);
    if (!end) {
        if (size > HEAD_BYTES) return -1;
        if (!c->partial) c->partial = malloc(HEAD_BYTES);
        memcpy(c->partial, scratch, size);
        c->partial_bytes = size;
        return 0;
    }
    *end = 0;
    c->switched = load.websocket && size > 12 && !memcmp(scratch + 8, " 101", 4);
    if (c->switched) return 2;
    if (size < 12 || memcmp(scratch + 8, " 200", 4)) return -1;
    char *length = find_header(scratch, "Content-Length");
    c->partial_bytes = 0;
    c->state = length ? BODY : CHUNKS;
    c->body_left = length ? atoll(length) : 0;
    memset(c->tail, 0, sizeof c->tail);
    if (!length && !find_header(scratch, "Transfer-Encoding")) return -1;
    return take_body(c, end + 4, size - (end + 4 - scratch));
}

/* Sends what a conversation has to say; so little is under way that the kernel always takes it. */
static void say(struct caller *c) {
    size_t size;
    const char *output = call_output(c->call, &size);
    if (size && loop_send(&c->connection, output, size) != DONE) lost(c);
}

static void take_echo(struct caller *c) {
    ssize_t got = loop_recv(&c->connection, scratch, sizeof scratch);
    if (got < 0 && errno == EAGAIN) return;
    int back = got > 0 ? call_take(c->call, scratch, got) : -1;
    if (back < 0) return lost(c);
    total.bytes += got;
    if (back) answered(c);
    if (c->connection.fd >= 0) say(c);
}

/* Reads once; what came may be a part of an answer, a whole one, or the end. */
static void take(struct caller *c) {
    struct connection *connection = &c->connection;
    if (c->call) return take_echo(c);
    size_t before = c->state <= HEAD ? c->partial_bytes : 0;
    if (before) memcpy(scratch, c->partial, before);
    ssize_t got = loop_recv(connection, scratch + before, sizeof scratch - before - 1);
    if (got < 0 && errno == EAGAIN) return;
    if (c->state == ENDING) return answered(c);
    if (got <= 0 || c->state == RESTING) return lost(c);
    total.bytes += got;
    int whole = c->state <= HEAD ? take_head(c, before + got) : take_body(c, scratch, got);
    if (whole < 0) lost(c);
    else if (whole == 2) {                                       /* which is what was begun by dialling */
        begun--;
        ask(c, now_ns());
    }
    else if (whole && load.close_each && load.tls) c->state = ENDING;      /* the server says goodbye: that is part of it */
    else if (whole) answered(c);
}

static void caller_ready(struct connection *connection, uint32_t events) {
    struct caller *c = (struct caller *)connection;
    if ((connection->waits_to_write && events & EPOLLOUT) || (connection->tls && connection->output_left)) {
        enum verdict flushed = loop_flush(connection);
        if (flushed == BROKEN) return lost(c);
        if (flushed == DONE && c->state == ASKING) c->state = c->switched ? BODY : HEAD;
        if (flushed == BLOCKED && connection->tls) return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    do take(c);
    while (loop_holds_bytes(connection));
}

static void ask(struct caller *c, uint64_t asked_ns) {
    begun++;
    c->asked_ns = asked_ns;
    c->state = ASKING;
    c->body_left = ECHO_BYTES;
    if (c->call) {
        c->state = HEAD;
        call_ask(c->call);
        return say(c);
    }
    enum verdict sent = c->switched ? loop_send(&c->connection, frame, FRAME_BYTES)
                                    : loop_send(&c->connection, request, request_bytes);
    if (sent == DONE) c->state = c->switched ? BODY : HEAD;
    if (sent == BROKEN) lost(c);
}

static void dial(int slot, uint64_t asked_ns) {
    struct caller *c = calloc(1, sizeof *c);
    c->slot = slot;
    c->asked_ns = asked_ns;
    c->connection.ready = caller_ready;
    c->connection.fd = connect_to(load.port);
    if (c->connection.fd < 0) {
        total.errors++;
        free(c);
        if (load.hold) settle();
        return;
    }
    total.connections++;
    callers[slot] = c;
    begun++;
    c->state = ASKING;
    c->connection.output = request;
    c->connection.output_left = request_bytes;
    if (load.messages) {
        c->call = call_new(load.path, load.messages);
        call_ask(c->call);
        c->connection.output = call_output(c->call, &c->connection.output_left);
    }
    if (load.tls) tls_begin(&c->connection);
    loop_add_paused(&c->connection);
}

static void write_request(void) {
    request = realloc(request, 2048 + load.body_bytes);
    request_bytes = sprintf(request,
        "%s %s HTTP/1.1\r\nHost: example.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0\r\n"
        "Accept: text/html,*/*;q=0.8\r\nAccept-Language: en-US\r\nAccept-Encoding: gzip, br\r\n"
        "Referer: http://example.test/\r\nCookie: sid=0123456789\r\nCache-Control: no-cache\r\n%s",
        load.body_bytes ? "POST" : "GET", load.path, load.close_each ? "Connection: close\r\n" : "");
    if (load.websocket) request_bytes += sprintf(request + request_bytes,
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    if (load.body_bytes) request_bytes += sprintf(request + request_bytes, "Content-Length: %d\r\n", load.body_bytes);
    request_bytes += sprintf(request + request_bytes, "\r\n");
    memset(request + request_bytes, 'y', load.body_bytes);
    request_bytes += load.body_bytes;
}

void client_run(const struct load *wanted) {
    load = *wanted;
    write_request();
    memset(histogram, 0, sizeof histogram);
    memset(&total, 0, sizeof total);
    callers = calloc(load.connections, sizeof *callers);
    idle = calloc(load.connections, sizeof *idle);
    idle_count = settled = dialled = 0;
    begun = 0;
    busy = 1;
    started_ns = now_ns();
    end_ns = started_ns + (uint64_t)(load.seconds * 1e9);
    int at_once = load.hold && load.connections > OPENING ? OPENING : load.connections;
    while (dialled < at_once && (load.hold || more_wanted(started_ns))) dial(dialled++, started_ns);
}

/* A connection that is only held says nothing; whatever comes is its end. */
static void held_ready(struct connection *connection, uint32_t events) {
    (void)events;
    struct caller *c = (struct caller *)connection;
    held[c->slot] = NULL;
    loop_close(connection);
}

static double percentile_us(double share) {
    uint64_t seen = 0, wanted = (uint64_t)(total.requests * share);
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > wanted) return (i + 0.5) * BUCKET_NS / 1000;
    return 0;
}

static void finish(void) {
    double seconds = (now_ns() - started_ns) / 1e9;
    printf("{\"requests\": %lu, \"errors\": %lu, \"connections\": %lu, \"bytes\": %lu, \"seconds\": %.4f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
        total.requests, total.errors, total.connections, total.bytes, seconds, percentile_us(0.5), percentile_us(0.99));
    fflush(stdout);
    busy = 0;
    free(idle);
    if (load.hold) {
        held = callers;
        held_count = load.connections;
        for (int i = 0; i < held_count; i++)
            if (held[i]) held[i]->connection.ready = held_ready;
        return;
    }
    for (int i = 0; i < load.connections; i++)
        if (callers[i]) retire(callers[i]);
    free(callers);
}

void client_drop_held(void) {
    for (int i = 0; i < held_count; i++)
        if (held[i]) loop_close(&held[i]->connection);
    free(held);
    held = NULL;
    held_count = 0;
    printf("{}\n");
    fflush(stdout);
}

static uint64_t due_ns(void) { return started_ns + (uint64_t)(begun * 1e9 / load.rate); }

int client_timeout_ms(void) {
    if (!busy) return -1;
    if (load.rate > 0) return 0;        /* sleeping would be late by more than what is measured */
    return 20;
}

void client_tick(void) {
    if (!busy) return;
    uint64_t now = now_ns();
    /* Timed from when it was due, so that a proxy that stalls is not spared the requests it held up. */
    while (load.rate > 0 && idle_count && more_wanted(now) && due_ns() <= now) {
        struct caller *c = callers[idle[--idle_count]];
        if (c && c->state == RESTING) ask(c, due_ns());
    }
    int enough = load.hold ? settled >= load.connections : load.requests && total.requests + total.errors >= load.requests;
    if (enough || now >= end_ns) finish();
}
