# What libssl says about itself, and what was built against it.
cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/crypto.h>
    #include <openssl/evp.h>
    #ifdef OPENSSL_IS_BORINGSSL
    #define PINGPY_TEXT(number) #number
    #define PINGPY_NUMBER(name) PINGPY_TEXT(name)
    #define PINGPY_TLS_BUILT "BoringSSL (API " PINGPY_NUMBER(BORINGSSL_API_VERSION) ")"
    static const char *pingpy_libssl(void) { return PINGPY_TLS_BUILT; }  /* it has no other version, and came with us */
    /* 2: in force, 1: loaded, 0: there is one, -1: there is none, -2: it was built without */
    static int pingpy_fips(void) { return FIPS_mode() ? 2 : -2; }
    #else
    #include <openssl/provider.h>
    #define PINGPY_TLS_BUILT OPENSSL_VERSION_TEXT
    static const char *pingpy_libssl(void) { return OpenSSL_version(OPENSSL_VERSION); }
    static int pingpy_fips(void) {
        OSSL_LIB_CTX *context;
        OSSL_PROVIDER *found;
        OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
        if (EVP_default_properties_is_fips_enabled(NULL)) return 2;
        if (OSSL_PROVIDER_available(NULL, "fips")) return 1;
        context = OSSL_LIB_CTX_new();  /* looking for it must not change what the rest of the process uses */
        if (context == NULL) return -1;
        found = OSSL_PROVIDER_load(context, "fips");
        if (found != NULL) OSSL_PROVIDER_unload(found);
        OSSL_LIB_CTX_free(context);
        return found != NULL ? 0 : -1;
    }
    #endif
    #ifndef PINGPY_FLAGS
    #define PINGPY_FLAGS ""
    #endif
    """
    const char* PINGPY_TLS_BUILT
    const char* pingpy_libssl()
    const char* PINGPY_FLAGS               # of the C compiler, by scripts/build_plane.py
    const char* PINGPY_COMPILER "__VERSION__"
    long CYTHON_HEX_VERSION
    int pingpy_fips()
