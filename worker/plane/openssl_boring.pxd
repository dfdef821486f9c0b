# What BoringSSL must be told, and OpenSSL does by itself or by the functions in openssl.pxd.
from worker.plane.openssl cimport SSL_CTX

cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/x509.h>
    #include <openssl/crypto.h>
    #include <time.h>
    #ifdef OPENSSL_IS_BORINGSSL
    static int pingpy_set_chain(SSL_CREDENTIAL *made, X509 *leaf, STACK_OF(X509) *more) {
        size_t count = 1 + sk_X509_num(more), i;  /* NULL has none */
        CRYPTO_BUFFER **chain = OPENSSL_calloc(count, sizeof *chain);
        int good = chain != NULL;
        for (i = 0; good && i < count; i++) {
            unsigned char *der = NULL;
            int size = i2d_X509(i == 0 ? leaf : sk_X509_value(more, i - 1), &der);
            chain[i] = size > 0 ? CRYPTO_BUFFER_new(der, size, NULL) : NULL;
            OPENSSL_free(der);
            good = chain[i] != NULL;
        }
        good = good && SSL_CREDENTIAL_set1_cert_chain(made, chain, count);
        for (i = 0; chain != NULL && i < count; i++) CRYPTO_BUFFER_free(chain[i]);
        OPENSSL_free(chain);
        return good;
    }
    /* The pair that the context was given last, with an OCSP response where there is one; or NULL. */
    static SSL_CREDENTIAL *pingpy_credential(SSL_CTX *context, const void *response, size_t size) {
        SSL_CREDENTIAL *made = SSL_CREDENTIAL_new_x509();
        STACK_OF(X509) *more = NULL;
        CRYPTO_BUFFER *status = size ? CRYPTO_BUFFER_new(response, size, NULL) : NULL;
        int good = made != NULL && (status != NULL || size == 0)
            && SSL_CTX_get0_chain_certs(context, &more)
            && pingpy_set_chain(made, SSL_CTX_get0_certificate(context), more)
            && SSL_CREDENTIAL_set1_private_key(made, SSL_CTX_get0_privatekey(context))
            && (status == NULL || SSL_CREDENTIAL_set1_ocsp_response(made, status));
        CRYPTO_BUFFER_free(status);
        if (good) return made;
        SSL_CREDENTIAL_free(made);
        return NULL;
    }
    static int pingpy_keep_pair(SSL_CTX *context) {
        SSL_CREDENTIAL *made = pingpy_credential(context, NULL, 0);
        int good = made != NULL && SSL_CTX_add1_credential(context, made);
        SSL_CREDENTIAL_free(made);
        return good;
    }
    /* TLS 1.3 renews a ticket with each use, there for 7 days. What is left of a session goes on with it, so the full
       handshake says it: as long as one may be resumed, and the client's certificate is valid. */
    static void pingpy_bound_session(const SSL *ssl, int where, int value) {
        SSL_SESSION *session;
        X509 *client;
        int64_t ends, now = (int64_t)time(NULL), left;
        if (where != SSL_CB_ACCEPT_LOOP || SSL_session_reused(ssl)) return;
        session = SSL_get_session(ssl);
        if (session == NULL) return;
        left = SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl));
        client = SSL_get_peer_certificate(ssl);
        if (client != NULL && ASN1_TIME_to_posix(X509_get0_notAfter(client), &ends) && ends < now + left)
            left = ends > now ? ends - now : 0;
        X509_free(client);
        SSL_SESSION_set_timeout(session, (uint32_t)left);
    }
    static void pingpy_bound_sessions(SSL_CTX *context) {
        SSL_CTX_set_info_callback(context, pingpy_bound_session);
    }
    /* What OpenSSL takes from the other side: BoringSSL's own list has SHA-1, but neither Ed25519 nor P-521. */
    static int pingpy_widen(SSL_CTX *context) {
        static const uint16_t taken[] = {
            SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ED25519, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256,
            SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PKCS1_SHA384,
            SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_RSA_PSS_RSAE_SHA512, SSL_SIGN_RSA_PKCS1_SHA512,
        };
        return SSL_CTX_set_verify_algorithm_prefs(context, taken, sizeof taken / sizeof *taken);
    }
    #define PINGPY_SHOUTS 1
    #else
    #define PINGPY_SHOUTS 0
    static int pingpy_keep_pair(SSL_CTX *context) { return 1; }  /* a context has one pair of each kind of key */
    static void pingpy_bound_sessions(SSL_CTX *context) {}       /* pingpy_judge_ticket does that */
    static int pingpy_widen(SSL_CTX *context) { return 1; }
    #endif
    """
    enum: X509_V_ERR_INVALID_CALL         # nothing has been verified yet; OpenSSL begins with X509_V_OK
    int PINGPY_SHOUTS                      # its reasons are like UNKNOWN_CA
    # Keep the pair that was just loaded when another one is: 1, or 0 without memory.
    int pingpy_keep_pair(SSL_CTX* context)
    # End each session in time; for every context of a server.
    void pingpy_bound_sessions(SSL_CTX* context)
    # Take the same signatures with either library: 1, or 0 without memory.
    int pingpy_widen(SSL_CTX* context)
