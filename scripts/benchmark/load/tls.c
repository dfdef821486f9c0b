/* TLS for the client side: 1.3 alone, one cipher suite, never a session again. */
#include "loop.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

static SSL_CTX *context;

/* The suite that browsers offer first: what servers like best must not decide a comparison. */
static void prepare(void) {
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)
        || !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256")) {
        fprintf(stderr, "loadgen: libssl has no TLS 1.3\n");
        exit(1);
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
}

void tls_begin(struct connection *c) {
    if (!context) prepare();
    c->tls = SSL_new(context);
    if (!c->tls || !SSL_set_fd(c->tls, c->fd) || !SSL_set_tlsext_host_name(c->tls, "example.test")) {
        fprintf(stderr, "loadgen: no memory for a TLS connection\n");
        exit(1);
    }
    SSL_set_connect_state(c->tls);
}

void tls_end(struct connection *c) {
    SSL_free(c->tls);                   /* says nothing */
    c->tls = NULL;
}

/* What the call has come to, as recv and send would say it; what it waits for is in `tls_wants_read`. */
static ssize_t outcome(struct connection *c, int got) {
    if (got > 0) return got;
    int problem = SSL_get_error(c->tls, got);
    c->tls_wants_read = problem == SSL_ERROR_WANT_READ;
    if (problem == SSL_ERROR_ZERO_RETURN) return 0;
    errno = problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t tls_recv(struct connection *c, void *into, size_t size) {
    return outcome(c, SSL_read(c->tls, into, (int)size));
}

/* Shakes hands first, if that is not done yet. */
ssize_t tls_send(struct connection *c, const void *data, size_t size) {
    ssize_t sent = outcome(c, SSL_write(c->tls, data, (int)size));
    if (sent) return sent;
    errno = ECONNRESET;                 /* the server has said goodbye */
    return -1;
}

int tls_holds_bytes(struct connection *c) { return SSL_has_pending(c->tls); }
