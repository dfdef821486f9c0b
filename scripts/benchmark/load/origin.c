/* The keep-alive origin: prebuilt answers of 12 bytes, 1 KiB, 10 KiB, 1 MiB and in chunks; request bodies are swallowed.
 * Asked for a WebSocket it echoes messages of up to 125 bytes; calls of gRPC (HTTP/2 by prior knowledge) it echoes, too. */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { HEAD_BYTES = 16384 };

struct answer { const char *path; size_t body_bytes; int chunk_bytes; char *text; size_t size; };

/* The last one is for every other path: health probes, POST. */
static struct answer answers[] = {
    {.path = "/1k", .body_bytes = 1024},
    {.path = "/10k", .body_bytes = 10240},
    {.path = "/1m", .body_bytes = 1 << 20},
    {.path = "/chunked", .body_bytes = 10240, .chunk_bytes = 1024},
    {.path = "/", .body_bytes = 12},
};
enum { ANSWERS = sizeof answers / sizeof *answers };

struct origin_counters origin_counters;

struct exchange {
    struct connection connection;
    char head[HEAD_BYTES + 1];
    size_t head_bytes;
    long long body_left;                /* of the request */
    const struct answer *answer;        /* to be sent when the request is whole */
    int last;                           /* Connection: close was asked for */
    int switched;                       /* to WebSocket */
    char echo[128];
    struct echo *call;                  /* an HTTP/2 connection for calls of gRPC */
};

/* The answer to the one key that our client sends (RFC 6455 1.3). */
static const char SWITCH[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void prepare(struct answer *a) {
    char framing[64];
    if (a->chunk_bytes) snprintf(framing, sizeof framing, "Transfer-Encoding: chunked");
    else snprintf(framing, sizeof framing, "Content-Length: %zu", a->body_bytes);
    a->text = malloc(a->body_bytes * 2 + 1024);
    size_t size = sprintf(a->text,
        "HTTP/1.1 200 OK\r\nServer: tiny/1.0\r\nDate: Sun, 22 Nov 2026 06:28:12 GMT\r\n"
        "Content-Type: application/octet-stream\r\n%s\r\nLast-Modified: Sun, 22 Nov 2026 06:00:00 GMT\r\n"
        "Connection: keep-alive\r\nETag: \"6921543c-400\"\r\nCache-Control: max-age=60\r\nAccept-Ranges: bytes\r\n\r\n",
        framing);
    if (!a->chunk_bytes) {
        memset(a->text + size, 'x', a->body_bytes);
        size += a->body_bytes;
    }
    for (size_t done = 0; a->chunk_bytes && done < a->body_bytes; done += a->chunk_bytes) {
        size += sprintf(a->text + size, "%x\r\n", a->chunk_bytes);
        memset(a->text + size, 'x', a->chunk_bytes);
        size += a->chunk_bytes;
        size += sprintf(a->text + size, "\r\n");
    }
    if (a->chunk_bytes) size += sprintf(a->text + size, "0\r\n\r\n");
    a->size = size;
}

static const struct answer *choose(const char *target) {
    for (int i = 0; i < ANSWERS - 1; i++) {
        size_t size = strlen(answers[i].path);
        if (!strncmp(target, answers[i].path, size) && strchr(" ?", target[size])) return &answers[i];
    }
    return &answers[ANSWERS - 1];
}

/* Reads one head out of the buffer; 0 when it is not whole yet, -1 when it is not for us. */
static int take_head(struct exchange *e) {
    e->head[e->head_bytes] = 0;
    char *end = memmem(e->head, e->head_bytes, "\r\n\r\n", 4);
    if (!end) return e->head_bytes == HEAD_BYTES ? -1 : 0;
    *end = 0;
    char *target = strchr(e->head, ' ');
    if (!target || find_header(e->head, "Transfer-Encoding")) return -1;
    char *length = find_header(e->head, "Content-Length"), *option = find_header(e->head, "Connection");
    e->answer = choose(target + 1);
    e->body_left = length ? atoll(length) : 0;
    e->last = option && !strncasecmp(option, "close", 5);
    e->switched = find_header(e->head, "Upgrade") != NULL;
    size_t used = end + 4 - e->head;
    memmove(e->head, e->head + used, e->head_bytes - used);
    e->head_bytes -= used;
    return 1;
}

/* Sends every whole message back, without its mask. */
static enum verdict echo(struct exchange *e) {
    while (e->head_bytes >= 6) {
        size_t size = e->head[1] & 127;
        if (size > 125 || !(e->head[1] & 128)) return BROKEN;
        if (e->head_bytes < 6 + size) return DONE;
        e->echo[0] = e->head[0];
        e->echo[1] = (char)size;
        for (size_t i = 0; i < size; i++) e->echo[2 + i] = e->head[6 + i] ^ e->head[2 + i % 4];
        e->head_bytes -= 6 + size;
        memmove(e->head, e->head + 6 + size, e->head_bytes);
        origin_counters.requests++;
        /* One message at a time is under way, so the buffer of the last one is free again. */
        if (loop_send(&e->connection, e->echo, 2 + size) != DONE) return BROKEN;
    }
    return DONE;
}

/* Answers every request that is whole; stops at a full send buffer. */
static enum verdict serve(struct exchange *e) {
    for (;;) {
        if (e->switched) return echo(e);
        if (!e->answer) {
            int found = take_head(e);
            if (found <= 0) return found < 0 ? BROKEN : DONE;
            if (e->switched) {
                if (loop_send(&e->connection, SWITCH, sizeof SWITCH - 1) != DONE) return BROKEN;
                continue;
            }
        }
        size_t here = e->body_left < (long long)e->head_bytes ? (size_t)e->body_left : e->head_bytes;
        memmove(e->head, e->head + here, e->head_bytes - here);
        e->head_bytes -= here;
        e->body_left -= here;
        if (e->body_left) return DONE;
        origin_counters.requests++;
        const struct answer *answer = e->answer;
        e->answer = NULL;
        enum verdict sent = loop_send(&e->connection, answer->text, answer->size);
        if (sent != DONE) return sent;
        if (e->last) return BROKEN;
    }
}

/* So few messages are under way at a time that the kernel takes all of them. */
static enum verdict echo_calls(struct exchange *e, const char *data, size_t size) {
    if (echo_take(e->call, data, size) < 0) return BROKEN;
    const char *output = echo_output(e->call, &size);
    return size ? loop_send(&e->connection, output, size) : DONE;
}

static enum verdict take(struct exchange *e) {
    if (!e->call && echo_wants(e->head, e->head_bytes)) {
        e->call = echo_new();
        memmove(e->head, e->head + 24, e->head_bytes -= 24);
    }
    if (!e->call) return serve(e);
    size_t size = e->head_bytes;
    e->head_bytes = 0;
    return echo_calls(e, e->head, size);
}

static void drop(struct exchange *e) {
    free(e->call);
    loop_close(&e->connection);
}

static void exchange_ready(struct connection *c, uint32_t events) {
    struct exchange *e = (struct exchange *)c;
    if (c->output_left) {
        enum verdict flushed = events & (EPOLLHUP | EPOLLERR) ? BROKEN : loop_flush(c);
        if (flushed == DONE) flushed = e->last ? BROKEN : e->call ? DONE : serve(e);
        if (flushed == BROKEN) drop(e);
        return;
    }
    ssize_t got;
    if (e->answer && e->body_left) {    /* in the middle of a body: nothing of it is kept */
        size_t want = e->body_left < (long long)sizeof scratch ? (size_t)e->body_left : sizeof scratch;
        got = recv(c->fd, scratch, want, MSG_DONTWAIT);
        if (got > 0) e->body_left -= got;
    } else {
        got = recv(c->fd, e->head + e->head_bytes, HEAD_BYTES - e->head_bytes, MSG_DONTWAIT);
        if (got > 0) e->head_bytes += got;
    }
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(e);
        return;
    }
    if (take(e) == BROKEN) {
        if (!e->last) origin_counters.errors++;
        drop(e);
    }
}

static void accept_all(struct connection *listener, uint32_t events) {
    (void)events;
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct exchange *e = calloc(1, sizeof *e);
        e->connection.fd = fd;
        e->connection.ready = exchange_ready;
        loop_add(&e->connection);
        origin_counters.connections++;
    }
}

void origin_start(int port) {
    for (int i = 0; i < ANSWERS; i++) prepare(&answers[i]);
    static struct connection listener;
    listener.fd = listen_on(INADDR_ANY, port);      /* every 127.x.y.z is a peer of its own */
    listener.ready = accept_all;
    loop_add(&listener);
}
