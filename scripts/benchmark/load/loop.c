/* The epoll loop: readiness in, bytes out, and connections that die only when their turn is over. */
#define _GNU_SOURCE
#include "loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, BACKLOG = 4096 };

char scratch[1 << 18];
static int epoll_fd;
static struct connection *closed;

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &event)) {
        perror("epoll_ctl");
        exit(1);
    }
}

void loop_start(void) { epoll_fd = epoll_create1(EPOLL_CLOEXEC); }

void loop_add(struct connection *c) { watch(c, EPOLL_CTL_ADD, EPOLLIN); }

void loop_add_paused(struct connection *c) {
    c->waits_to_write = 1;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void loop_close(struct connection *c) {
    if (c->fd < 0) return;
    if (c->tls) tls_end(c);
    close(c->fd);
    c->fd = -1;
    c->next_closed = closed;
    closed = c;
}

void loop_turn(int timeout_ms) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->fd >= 0) c->ready(c, events[i].events);          /* an earlier event of the turn may have closed it */
    }
    while (closed) {
        struct connection *c = closed;
        closed = c->next_closed;
        free(c);
    }
}

enum verdict loop_send(struct connection *c, const char *data, size_t size) {
    c->output = data;
    c->output_left = size;
    return loop_flush(c);
}

enum verdict loop_flush(struct connection *c) {
    while (c->output_left) {
        ssize_t sent = c->tls ? tls_send(c, c->output, c->output_left)
                              : send(c->fd, c->output, c->output_left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno != EAGAIN && errno != ENOTCONN) return BROKEN;
            if (c->tls && c->tls_wants_read) break;
            if (!c->waits_to_write) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->waits_to_write = 1;
            return BLOCKED;
        }
        c->output += sent;
        c->output_left -= sent;
    }
    if (c->waits_to_write) watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->waits_to_write = 0;
    return c->output_left ? BLOCKED : DONE;
}

ssize_t loop_recv(struct connection *c, void *into, size_t size) {
    return c->tls ? tls_recv(c, into, size) : recv(c->fd, into, size, MSG_DONTWAIT);
}

int loop_holds_bytes(struct connection *c) { return c->fd >= 0 && c->tls && tls_holds_bytes(c); }

static struct sockaddr_in address_of(uint32_t host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(host);
    return address;
}

int listen_on(uint32_t host, int port) {
    struct sockaddr_in address = address_of(host, port);
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG)) {
        perror("listen");
        exit(1);
    }
    return fd;
}

int connect_to(int port) {
    struct sockaddr_in address = address_of(INADDR_LOOPBACK, port);
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

char *find_header(char *head, const char *name) {
    size_t size = strlen(name);
    for (char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, size) || line[size] != ':') continue;
        line += size + 1;
        return line + strspn(line, " \t");
    }
    return NULL;
}
