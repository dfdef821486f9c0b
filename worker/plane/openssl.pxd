# libssl's interface as the plane uses it: what OpenSSL 3.0 and BoringSSL have in common, and what the two spell differently.
cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/err.h>
    #include <openssl/bio.h>
    #include <openssl/pem.h>
    #include <openssl/x509.h>
    #include <openssl/x509v3.h>
    #include <openssl/crypto.h>
    #include <openssl/evp.h>
    #include <openssl/hmac.h>
    #include <openssl/rand.h>
    #include <time.h>
    #ifdef OPENSSL_IS_BORINGSSL  /* it renegotiates only when told to, and prefers by itself */
    #define SSL_OP_NO_RENEGOTIATION 0
    #define SSL_OP_PRIORITIZE_CHACHA 0
    #define SSL_CTX_set_ciphersuites(context, text) 1  /* it has an order of its own */
    #define SSL_CTX_set_max_early_data(context, bytes) SSL_CTX_set_early_data_enabled(context, (bytes) > 0)
    #else
    #include <openssl/core_names.h>
    #include <openssl/params.h>
    #endif
    """
    pass

cdef extern from "<openssl/ssl.h>":
    ctypedef struct SSL
    ctypedef struct SSL_CTX
    ctypedef struct SSL_METHOD
    ctypedef struct SSL_CIPHER
    ctypedef struct SSL_SESSION
    ctypedef struct BIO
    ctypedef struct BIO_METHOD
    ctypedef struct X509
    ctypedef struct X509_NAME
    ctypedef struct X509_STORE
    ctypedef struct EVP_PKEY
    ctypedef struct X509_STORE_CTX

    enum: SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_RELEASE_BUFFERS
    enum: SSL_OP_NO_COMPRESSION, SSL_OP_NO_RENEGOTIATION, SSL_OP_CIPHER_SERVER_PREFERENCE
    enum: SSL_OP_PRIORITIZE_CHACHA, SSL_OP_NO_TICKET
    enum: SSL_SESS_CACHE_OFF, SSL_SESS_CACHE_SERVER
    enum: TLS1_2_VERSION, TLS1_3_VERSION
    enum: SSL_ERROR_NONE, SSL_ERROR_SSL, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN
    enum: SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    enum: SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_NOACK, SSL_TLSEXT_ERR_ALERT_FATAL
    enum: SSL_AD_PROTOCOL_VERSION, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_INTERNAL_ERROR
    enum: TLSEXT_NAMETYPE_host_name, TLSEXT_TYPE_server_name
    enum: X509_V_OK

    const SSL_METHOD* TLS_method()
    SSL_CTX* SSL_CTX_new(const SSL_METHOD* method)
    void SSL_CTX_free(SSL_CTX* context)
    unsigned long long SSL_CTX_set_options(SSL_CTX* context, unsigned long long options)
    long SSL_CTX_set_mode(SSL_CTX* context, long mode)
    int SSL_CTX_set_min_proto_version(SSL_CTX* context, int version)
    int SSL_CTX_set_max_proto_version(SSL_CTX* context, int version)
    int SSL_CTX_set_cipher_list(SSL_CTX* context, const char* text)
    int SSL_CTX_set_ciphersuites(SSL_CTX* context, const char* text)
    int SSL_CTX_set1_groups_list(SSL_CTX* context, const char* text)
    void SSL_CTX_set_read_ahead(SSL_CTX* context, int yes)
    long SSL_CTX_set_max_cert_list(SSL_CTX* context, long size)
    long SSL_CTX_set_session_cache_mode(SSL_CTX* context, long mode)
    int SSL_CTX_set_session_id_context(SSL_CTX* context, const unsigned char* text, unsigned int size)
    int SSL_set_session_id_context(SSL* ssl, const unsigned char* text, unsigned int size)
    void SSL_CTX_set_verify(SSL_CTX* context, int mode, void* callback)
    void SSL_set_verify(SSL* ssl, int mode, void* callback)
    int SSL_CTX_use_certificate(SSL_CTX* context, X509* certificate)
    int SSL_CTX_use_PrivateKey(SSL_CTX* context, EVP_PKEY* key)
    int SSL_CTX_check_private_key(const SSL_CTX* context)
    long SSL_CTX_add1_chain_cert(SSL_CTX* context, X509* certificate)
    long SSL_CTX_clear_chain_certs(SSL_CTX* context)
    X509_STORE* SSL_CTX_get_cert_store(const SSL_CTX* context)
    int SSL_CTX_add_client_CA(SSL_CTX* context, X509* certificate)
    int SSL_CTX_set_num_tickets(SSL_CTX* context, size_t count)
    void SSL_CTX_set_max_early_data(SSL_CTX* context, unsigned int size)
    void SSL_CTX_set_alpn_select_cb(
        SSL_CTX* context,
        int (*callback)(SSL*, const unsigned char**, unsigned char*, const unsigned char*, unsigned int, void*) noexcept,
        void* argument)

    SSL* SSL_new(SSL_CTX* context)
    void SSL_free(SSL* ssl)
    SSL_CTX* SSL_set_SSL_CTX(SSL* ssl, SSL_CTX* context)
    SSL_CTX* SSL_get_SSL_CTX(const SSL* ssl)
    void SSL_set_bio(SSL* ssl, BIO* read, BIO* write)
    void SSL_set_accept_state(SSL* ssl)
    void SSL_set_connect_state(SSL* ssl)
    int SSL_set_min_proto_version(SSL* ssl, int version)
    int SSL_set1_groups_list(SSL* ssl, const char* text)
    int SSL_do_handshake(SSL* ssl)
    int SSL_read(SSL* ssl, void* buffer, int size)
    int SSL_peek(SSL* ssl, void* buffer, int size)
    int SSL_write(SSL* ssl, const void* buffer, int size)
    int SSL_shutdown(SSL* ssl)
    int SSL_has_pending(const SSL* ssl)
    int SSL_get_error(const SSL* ssl, int outcome)
    int SSL_session_reused(SSL* ssl)
    int SSL_version(const SSL* ssl)
    const char* SSL_get_version(const SSL* ssl)
    const SSL_CIPHER* SSL_get_current_cipher(const SSL* ssl)
    const char* SSL_CIPHER_get_name(const SSL_CIPHER* cipher)
    const char* SSL_get_servername(const SSL* ssl, int kind)
    void SSL_get0_alpn_selected(const SSL* ssl, const unsigned char** name, unsigned int* size)
    long SSL_get_verify_result(const SSL* ssl)
    int SSL_set_ex_data(SSL* ssl, int index, void* data)
    void* SSL_get_ex_data(const SSL* ssl, int index)

cdef extern from "<openssl/bio.h>":
    enum: BIO_TYPE_SOURCE_SINK, BIO_CTRL_FLUSH
    int BIO_get_new_index()
    BIO_METHOD* BIO_meth_new(int kind, const char* name)
    int BIO_meth_set_read(BIO_METHOD* method, int (*read)(BIO*, char*, int) noexcept)
    int BIO_meth_set_write(BIO_METHOD* method, int (*write)(BIO*, const char*, int) noexcept)
    int BIO_meth_set_ctrl(BIO_METHOD* method, long (*ctrl)(BIO*, int, long, void*) noexcept)
    BIO* BIO_new(const BIO_METHOD* method)
    BIO* BIO_new_mem_buf(const void* buffer, int size)
    int BIO_free(BIO* bio)
    void BIO_set_data(BIO* bio, void* data)
    void* BIO_get_data(BIO* bio)
    void BIO_set_init(BIO* bio, int yes)
    void BIO_clear_retry_flags(BIO* bio)
    void BIO_set_retry_read(BIO* bio)
    void BIO_set_retry_write(BIO* bio)

cdef extern from "<openssl/pem.h>":
    X509* PEM_read_bio_X509(BIO* bio, X509** into, void* password_callback, void* argument)
    EVP_PKEY* PEM_read_bio_PrivateKey(BIO* bio, EVP_PKEY** into, int (*password)(char*, int, int, void*) noexcept, void* argument)

cdef extern from "<openssl/x509.h>":
    void X509_free(X509* certificate)
    void EVP_PKEY_free(EVP_PKEY* key)
    int X509_STORE_add_cert(X509_STORE* store, X509* certificate)
    X509_NAME* X509_get_subject_name(const X509* certificate)
    const char* X509_verify_cert_error_string(long problem)

cdef extern from "<openssl/err.h>":
    void ERR_clear_error()
    unsigned long ERR_peek_error()
    unsigned long ERR_get_error()
    void ERR_error_string_n(unsigned long problem, char* text, size_t size)
    const char* ERR_reason_error_string(unsigned long problem)

cdef extern from "<openssl/crypto.h>":
    const char* OpenSSL_version(int what)
    enum: OPENSSL_VERSION

cdef extern from *:
    """
    /* The peer's certificate with a reference of its own, or NULL. */
    static X509 *pingpy_peer_certificate(const SSL *ssl) {
    #ifdef OPENSSL_IS_BORINGSSL
        return SSL_get_peer_certificate(ssl);
    #else
        return SSL_get1_peer_certificate(ssl);
    #endif
    }
    /* RFC 2253, the form that nginx logs; 1, or 0 when it does not fit. */
    static int pingpy_name_line(X509_NAME *name, char *text, int size) {
        BIO *bio = BIO_new(BIO_s_mem());
        int used;
        if (bio == NULL) return 0;
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
        used = BIO_read(bio, text, size - 1);
        BIO_free(bio);
        if (used <= 0) return 0;
        text[used] = 0;
        return 1;
    }
    """
    X509* pingpy_peer_certificate(const SSL* ssl)
    int pingpy_name_line(X509_NAME* name, char* text, int size)

# Told of a ClientHello before anything of it was acted on.
cdef extern from *:
    """
    /* The server name that a ClientHello asks for (RFC 6066 3): 1, or 0 when there is none that can be used. */
    static int pingpy_sni(const unsigned char *data, size_t size, const unsigned char **name, size_t *name_size) {
        size_t length;
        if (size < 5) return 0;
        length = ((size_t)data[0] << 8) | data[1];
        if (length + 2 != size || data[2] != 0) return 0;
        length = ((size_t)data[3] << 8) | data[4];
        if (length == 0 || length + 5 > size) return 0;
        *name = data + 5;
        *name_size = length;
        return 1;
    }
    #ifdef OPENSSL_IS_BORINGSSL
    typedef int (*pingpy_hello)(SSL *, const unsigned char *, size_t);
    static pingpy_hello pingpy_on_hello;
    static enum ssl_select_cert_result_t pingpy_hello_shim(const SSL_CLIENT_HELLO *hello) {
        const unsigned char *data = NULL, *name = NULL;
        size_t size = 0, name_size = 0;
        if (SSL_early_callback_ctx_extension_get(hello, TLSEXT_TYPE_server_name, &data, &size))
            pingpy_sni(data, size, &name, &name_size);
        return pingpy_on_hello(hello->ssl, name, name_size) ? ssl_select_cert_success : ssl_select_cert_error;
    }
    static void pingpy_watch_hello(SSL_CTX *context, pingpy_hello callback) {
        pingpy_on_hello = callback;
        SSL_CTX_set_select_certificate_cb(context, pingpy_hello_shim);
    }
    #else
    typedef int (*pingpy_hello)(SSL *, const unsigned char *, size_t);
    static int pingpy_hello_shim(SSL *ssl, int *alert, void *argument) {
        const unsigned char *data = NULL, *name = NULL;
        size_t size = 0, name_size = 0;
        if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size))
            pingpy_sni(data, size, &name, &name_size);
        if (((pingpy_hello)argument)(ssl, name, name_size)) return SSL_CLIENT_HELLO_SUCCESS;
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    static void pingpy_watch_hello(SSL_CTX *context, pingpy_hello callback) {
        SSL_CTX_set_client_hello_cb(context, pingpy_hello_shim, (void *)callback);
    }
    #endif
    """
    void pingpy_watch_hello(SSL_CTX* context, int (*callback)(SSL*, const unsigned char*, size_t) noexcept)

# Asked for the key of each session ticket that is made or comes: see tls_tickets.py.
cdef extern from *:
    """
    /* `key`: 16 bytes of name, 32 of AES-256, 32 of HMAC-SHA256. 0: there is none of that name, 1: good, 2: good, but renew. */
    typedef int (*pingpy_tickets)(SSL *, const unsigned char *name, const unsigned char **key);
    static pingpy_tickets pingpy_on_ticket;
    #ifdef OPENSSL_IS_BORINGSSL
    typedef HMAC_CTX pingpy_mac;
    static int pingpy_key_mac(pingpy_mac *mac, const unsigned char *key) {
        return HMAC_Init_ex(mac, key, 32, EVP_sha256(), NULL);
    }
    #else
    typedef EVP_MAC_CTX pingpy_mac;
    static int pingpy_key_mac(pingpy_mac *mac, const unsigned char *key) {
        char digest[] = "SHA256";
        OSSL_PARAM set[3];
        set[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, 32);
        set[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
        set[2] = OSSL_PARAM_construct_end();
        return EVP_MAC_CTX_set_params(mac, set);
    }
    #endif
    static int pingpy_ticket_shim(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                                  pingpy_mac *mac, int encrypt) {
        const unsigned char *key = NULL;
        int found = pingpy_on_ticket(ssl, encrypt ? NULL : name, &key);
        if (found <= 0 || key == NULL) return encrypt ? -1 : 0;
        if (encrypt) {
            memcpy(name, key, 16);
            if (RAND_bytes(iv, 16) != 1) return -1;
        }
        if (!EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + 16, iv, encrypt)) return -1;
        return pingpy_key_mac(mac, key + 48) ? found : -1;
    }
    #ifndef OPENSSL_IS_BORINGSSL  /* it ends a chain of tickets by itself, 7 days after the full handshake */
    /* TLS 1.3 renews a ticket with each use: the time of the full handshake goes on with it, as its application data. */
    static int pingpy_date_ticket(SSL *ssl, void *argument) {
        int64_t began = (int64_t)time(NULL);
        if (SSL_session_reused(ssl)) return 1;
        return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &began, sizeof began);
    }
    /* Good as long as a session may be resumed, and the client's certificate is valid. */
    static SSL_TICKET_RETURN pingpy_judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t size,
                                                 SSL_TICKET_STATUS status, void *argument) {
        int64_t began = 0;
        void *data = NULL;
        size_t length = 0;
        X509 *client;
        if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
        if (!SSL_SESSION_get0_ticket_appdata(session, &data, &length) || length != sizeof began)
            return SSL_TICKET_RETURN_IGNORE_RENEW;
        memcpy(&began, data, sizeof began);
        if ((int64_t)time(NULL) - began > SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl))) return SSL_TICKET_RETURN_IGNORE_RENEW;
        client = SSL_SESSION_get0_peer(session);
        if (client != NULL && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0) return SSL_TICKET_RETURN_IGNORE_RENEW;
        return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
    }
    #endif
    static void pingpy_watch_tickets(SSL_CTX *context, pingpy_tickets callback) {
        pingpy_on_ticket = callback;
    #ifdef OPENSSL_IS_BORINGSSL
        SSL_CTX_set_tlsext_ticket_key_cb(context, pingpy_ticket_shim);
    #else
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, pingpy_ticket_shim);
        SSL_CTX_set_session_ticket_cb(context, pingpy_date_ticket, pingpy_judge_ticket, NULL);
    #endif
    }
    static void pingpy_set_ticket_seconds(SSL_CTX *context, long seconds) {
        SSL_CTX_set_timeout(context, seconds);
    #ifdef OPENSSL_IS_BORINGSSL  /* TLS 1.3 has a lifetime of its own there */
        SSL_CTX_set_session_psk_dhe_timeout(context, (uint32_t)seconds);
    #endif
    }
    """
    void pingpy_watch_tickets(
        SSL_CTX* context, int (*callback)(SSL*, const unsigned char*, const unsigned char**) noexcept)
    void pingpy_set_ticket_seconds(SSL_CTX* context, long seconds)
