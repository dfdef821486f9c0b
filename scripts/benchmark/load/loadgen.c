/* Load generator and origin in one process: `loadgen ORIGIN_PORT`, then one order a line on stdin, one JSON answer each.
 *
 *   run port=8001 connections=64 seconds=2 path=/1k [close=1] [rate=6000] [body=10240] [requests=4500] [websocket=1] [tls=1]
 *       [messages=10000]
 *   hold port=8001 connections=9000 seconds=30 path=/1k [tls=1]     opens them, asks once on each, keeps them
 *   drop                                                   closes what is held
 *   stats                                                  what the origin has counted since it started
 *
 * One process, because generator and origin together must cost less than the proxy between them. */
#define _GNU_SOURCE
#include "loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void read_load(char *words, struct load *load) {
    *load = (struct load){.connections = 64, .seconds = 1, .path = "/1k"};
    for (char *word = strtok(words, " \n"); word; word = strtok(NULL, " \n")) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(word, "port")) load->port = atoi(value);
        else if (!strcmp(word, "connections")) load->connections = atoi(value);
        else if (!strcmp(word, "seconds")) load->seconds = atof(value);
        else if (!strcmp(word, "close")) load->close_each = atoi(value);
        else if (!strcmp(word, "rate")) load->rate = atof(value);
        else if (!strcmp(word, "body")) load->body_bytes = atoi(value);
        else if (!strcmp(word, "requests")) load->requests = strtoull(value, NULL, 10);
        else if (!strcmp(word, "websocket")) load->websocket = atoi(value);
        else if (!strcmp(word, "messages")) load->messages = atoi(value);
        else if (!strcmp(word, "tls")) load->tls = atoi(value);
        else if (!strcmp(word, "path")) snprintf(load->path, sizeof load->path, "%s", value);
        else fprintf(stderr, "loadgen: what is %s?\n", word);
    }
}

static void obey(struct connection *input, uint32_t events) {
    (void)events;
    char line[1024];
    ssize_t got = read(input->fd, line, sizeof line - 1);
    if (got <= 0) exit(0);
    line[got] = 0;
    struct load load;
    if (!strncmp(line, "run ", 4) || !strncmp(line, "hold ", 5)) {
        int hold = line[0] == 'h';
        read_load(strchr(line, ' '), &load);
        load.hold = hold;
        client_run(&load);
    } else if (!strncmp(line, "drop", 4)) {
        client_drop_held();
    } else {
        printf("{\"connections\": %lu, \"requests\": %lu, \"errors\": %lu}\n", origin_counters.connections,
            origin_counters.requests, origin_counters.errors);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: loadgen ORIGIN_PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    loop_start();
    origin_start(atoi(argv[1]));
    static struct connection input = {.fd = 0, .ready = obey};
    loop_add(&input);
    for (;;) {
        loop_turn(client_timeout_ms());
        client_tick();
    }
}
