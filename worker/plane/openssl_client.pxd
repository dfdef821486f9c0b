# What the client's side needs of libssl beside openssl.pxd.
from worker.plane.openssl cimport SSL, SSL_CTX, SSL_SESSION

cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/x509v3.h>
    """
    pass

cdef extern from "<openssl/ssl.h>":
    ctypedef struct X509_VERIFY_PARAM
    enum: SSL_SESS_CACHE_CLIENT, SSL_SESS_CACHE_NO_INTERNAL, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS

    int SSL_CTX_set_default_verify_paths(SSL_CTX* context)
    int SSL_set_alpn_protos(SSL* ssl, const unsigned char* names, unsigned int size)
    void SSL_CTX_sess_set_new_cb(SSL_CTX* context, int (*callback)(SSL*, SSL_SESSION*) noexcept)
    long SSL_set_tlsext_host_name(SSL* ssl, const char* name)
    int SSL_set_session(SSL* ssl, SSL_SESSION* session)
    void SSL_SESSION_free(SSL_SESSION* session)
    X509_VERIFY_PARAM* SSL_get0_param(SSL* ssl)
    int X509_VERIFY_PARAM_set1_host(X509_VERIFY_PARAM* param, const char* name, size_t size)
    int X509_VERIFY_PARAM_set1_ip_asc(X509_VERIFY_PARAM* param, const char* address)
    void X509_VERIFY_PARAM_set_hostflags(X509_VERIFY_PARAM* param, unsigned int flags)
