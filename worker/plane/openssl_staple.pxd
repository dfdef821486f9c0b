# What stapling needs of libssl beside openssl.pxd.
from worker.plane.openssl cimport SSL, SSL_CTX, X509

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
    /* libssl frees what it is given: 1, or 0 without memory. */
    static int pingpy_give_status(SSL *ssl, const void *response, size_t size) {
        unsigned char *copy = OPENSSL_malloc(size);
        if (copy == NULL) return 0;
        memcpy(copy, response, size);
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, size);
        return 1;
    }
    """
    void pingpy_watch_status(SSL_CTX* context, int (*callback)(SSL*, void*) noexcept, void* argument)
    int pingpy_give_status(SSL* ssl, const void* response, size_t size)

cdef extern from "<openssl/ssl.h>":
    X509* SSL_get_certificate(const SSL* ssl)
    X509* SSL_CTX_get0_certificate(const SSL_CTX* context)
