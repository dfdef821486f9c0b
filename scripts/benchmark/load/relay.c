/* The bare relay, the physical limit: one upstream connection per client, recv and send and nothing else.
 *
 * relay PORT ORIGIN_PORT */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct side {
    struct connection connection;
    struct side *other;
    char *kept;                         /* what the other end did not take yet */
};

static int origin_port;

static void end(struct side *side) {
    if (side->other) loop_close(&side->other->connection);
    loop_close(&side->connection);
}

static void side_ready(struct connection *connection, uint32_t events) {
    struct side *side = (struct side *)connection;
    if (events & EPOLLOUT && connection->waits_to_write) {
        enum verdict flushed = loop_flush(connection);
        if (flushed == BROKEN) return end(side);
        if (flushed == DONE) {
            free(side->kept);
            side->kept = NULL;
        }
    }
    struct side *other = side->other;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || other->connection.output_left) return;
    ssize_t got = recv(connection->fd, scratch, 65536, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return end(side);
    enum verdict sent = loop_send(&other->connection, scratch, got);
    if (sent == BROKEN) return end(side);
    if (sent == BLOCKED) {
        other->kept = malloc(other->connection.output_left);
        memcpy(other->kept, other->connection.output, other->connection.output_left);
        other->connection.output = other->kept;
    }
}

static struct side *side_of(int fd) {
    struct side *side = calloc(1, sizeof *side);
    side->connection.fd = fd;
    side->connection.ready = side_ready;
    return side;
}

static void accept_all(struct connection *listener, uint32_t events) {
    (void)events;
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct side *client = side_of(fd), *origin = side_of(connect_to(origin_port));
        client->other = origin;
        origin->other = client;
        loop_add(&client->connection);
        loop_add(&origin->connection);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: relay PORT ORIGIN_PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    origin_port = atoi(argv[2]);
    loop_start();
    static struct connection listener;
    listener.fd = listen_on(INADDR_LOOPBACK, atoi(argv[1]));
    listener.ready = accept_all;
    loop_add(&listener);
    for (;;) loop_turn(-1);
}
