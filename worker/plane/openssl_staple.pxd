# What stapling needs of libssl beside openssl.pxd.
from worker.plane.openssl cimport SSL, SSL_CTX, X509
from worker.plane.openssl_boring cimport pingpy_keep_pair

cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/crypto.h>
    #include <string.h>
    typedef int (*pingpy_status)(SSL *, void *);
    static void pingpy_watch_status(SSL_CTX *context, pingpy_status callback, void *argument) {
        SSL_CTX_set_tlsext_status_cb(context, callback);
        SSL_CTX_set_tlsext_status_arg(context, argument);
    }
    #ifdef OPENSSL_IS_BORINGSSL  /* it calls before it has chosen a certificate: it gets all to choose from, as they are now */
    typedef struct { SSL_CREDENTIAL *bare, *stapled; } pingpy_pair;
    static void pingpy_free_pair(void *held) {
        pingpy_pair *pair = held;
        if (pair == NULL) return;
        SSL_CREDENTIAL_free(pair->bare);
        SSL_CREDENTIAL_free(pair->stapled);
        OPENSSL_free(pair);
    }
    static void *pingpy_last_pair(SSL_CTX *context, const void *response, size_t size) {
        pingpy_pair *pair = OPENSSL_zalloc(sizeof *pair);
        if (pair == NULL) return NULL;
        pair->bare = pingpy_credential(context, NULL, 0);
        pair->stapled = size ? pingpy_credential(context, response, size) : NULL;
        if (pair->bare != NULL && (pair->stapled != NULL || size == 0)) return pair;
        pingpy_free_pair(pair);
        return NULL;
    }
    static void pingpy_begin_status(SSL *ssl) { SSL_certs_clear(ssl); }
    static int pingpy_give_status(SSL *ssl, const void *held, const void *response, size_t size) {
        const pingpy_pair *pair = held;
        return SSL_add1_credential(ssl, size ? pair->stapled : pair->bare) && size != 0;
    }
    #else
    static void pingpy_free_pair(void *held) {}
    static void *pingpy_last_pair(SSL_CTX *context, const void *response, size_t size) {
        return SSL_CTX_get0_certificate(context);
    }
    static void pingpy_begin_status(SSL *ssl) {}
    static int pingpy_give_status(SSL *ssl, const void *held, const void *response, size_t size) {
        unsigned char *copy;  /* libssl frees it */
        if (size == 0 || SSL_get_certificate(ssl) != held) return 0;
        copy = OPENSSL_malloc(size);
        if (copy == NULL) return 0;
        memcpy(copy, response, size);
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, size);
        return 1;
    }
    #endif
    """
    void pingpy_watch_status(SSL_CTX* context, int (*callback)(SSL*, void*) noexcept, void* argument)
    # What the context was given last: its certificate, or the two credentials made of it. NULL without memory.
    X509* pingpy_last_pair(SSL_CTX* context, const void* response, size_t size)
    void pingpy_free_pair(X509* held)
    # Then for each of the identity what to show with it (nothing: 0 bytes): 1 when it may be shown.
    void pingpy_begin_status(SSL* ssl)
    int pingpy_give_status(SSL* ssl, const X509* held, const void* response, size_t size)
