/* One epoll loop, the connections on it, and the bytes that wait to leave: what origin and client share. */
#ifndef LOADGEN_LOOP_H
#define LOADGEN_LOOP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct connection {
    int fd;                                                     /* -1 once closed; freed after the turn */
    void (*ready)(struct connection *, uint32_t events);
    const char *output;                                         /* borrowed, never freed here */
    size_t output_left;
    int waits_to_write;
    struct ssl_st *tls;                                         /* NULL: plain */
    int tls_wants_read;                                         /* before it can go on with what it was told to send */
    struct connection *next_closed;
};

enum verdict { BROKEN = -1, BLOCKED = 0, DONE = 1 };

extern char scratch[1 << 18];                                   /* what the last recv brought */

uint64_t now_ns(void);
void loop_start(void);
void loop_add(struct connection *);
void loop_add_paused(struct connection *);                      /* also told when it becomes writable */
void loop_close(struct connection *);
void loop_turn(int timeout_ms);
enum verdict loop_send(struct connection *, const char *data, size_t size);
enum verdict loop_flush(struct connection *);
ssize_t loop_recv(struct connection *, void *into, size_t size);
int loop_holds_bytes(struct connection *);                      /* that were read, and epoll will say nothing of them */
int listen_on(uint32_t host, int port);
int connect_to(int port);
char *find_header(char *head, const char *name);                /* the value's start, or NULL; head ends in NUL */

/* tls.c: connections that are clients of TLS; recv and send in errno's words */
void tls_begin(struct connection *);
void tls_end(struct connection *);
ssize_t tls_recv(struct connection *, void *into, size_t size);
ssize_t tls_send(struct connection *, const void *data, size_t size);
int tls_holds_bytes(struct connection *);

/* call.c: conversations of gRPC. Output is borrowed, and valid until the next call of any of these. */
enum { CALL_TURN = 10 };                                        /* messages that are under way at once */
struct call *call_new(const char *path, uint32_t messages);     /* each call of so many (of CALL_TURN each), one after the other */
void call_ask(struct call *);                                   /* the next turn, once the last one is back */
int call_take(struct call *, const char *data, size_t size);    /* 1: it is back, 0: not yet, -1: something else is */
const char *call_output(struct call *, size_t *size);
int echo_wants(const char *data, size_t size);                  /* whether a connection begins as one of HTTP/2 */
struct echo *echo_new(void);
int echo_take(struct echo *, const char *data, size_t size);    /* -1: it cannot go on */
const char *echo_output(struct echo *, size_t *size);

/* origin.c */
struct origin_counters { uint64_t connections, requests, errors; };
extern struct origin_counters origin_counters;
void origin_start(int port);

/* client.c */
struct load {
    int port, connections, close_each, body_bytes, hold, websocket, tls;
    int messages;                                               /* of each call of gRPC; 0: other requests */
    double seconds, rate;                                       /* rate 0: as fast as answers come */
    uint64_t requests;                                          /* stop after so many; 0: only by time */
    char path[128];
};
int client_busy(void);
void client_run(const struct load *);
void client_tick(void);                                         /* after each turn */
int client_timeout_ms(void);
void client_drop_held(void);

#endif
