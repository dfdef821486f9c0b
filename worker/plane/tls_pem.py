"""Puts certificates and keys, read from PEM texts, into a context of libssl."""

import cython
from cython.cimports.worker.plane.openssl import (
    BIO,
    EVP_PKEY,
    SSL_CTX,
    X509,
    BIO_free,
    BIO_new_mem_buf,
    ERR_clear_error,
    EVP_PKEY_free,
    PEM_read_bio_PrivateKey,
    PEM_read_bio_X509,
    SSL_CTX_add1_chain_cert,
    SSL_CTX_add_client_CA,
    SSL_CTX_check_private_key,
    SSL_CTX_clear_chain_certs,
    SSL_CTX_get_cert_store,
    SSL_CTX_use_certificate,
    SSL_CTX_use_PrivateKey,
    X509_free,
    X509_STORE_add_cert,
)
from cython.cimports.worker.plane.tls import reason


@cython.cfunc
def opened(text: bytes) -> cython.pointer(BIO):
    """A text as libssl reads it."""
    return BIO_new_mem_buf(
        cython.cast(cython.p_const_char, text), cython.cast(cython.int, len(text))
    )


def load_pair(context, chain, key):
    """The certificate first: the key is compared with it."""
    bio: cython.pointer(BIO)
    private: cython.pointer(EVP_PKEY)
    good: cython.int
    load_chain(context, chain)
    bio = opened(key)
    private = PEM_read_bio_PrivateKey(bio, cython.NULL, no_password, cython.NULL)
    BIO_free(bio)
    if private == cython.NULL:
        raise ValueError(f"the key cannot be read: {reason()}")
    good = SSL_CTX_use_PrivateKey(context, private)
    EVP_PKEY_free(private)
    if not good or not SSL_CTX_check_private_key(context):
        raise ValueError(f"the key is not that of the certificate: {reason()}")
    return 0


@cython.cfunc
@cython.exceptval(-1)
def load_chain(context: cython.pointer(SSL_CTX), chain: bytes) -> cython.int:
    """The first certificate is ours, the others lead to one that the other side trusts."""
    certificate: cython.pointer(X509)
    count: cython.int = 0
    good: cython.long = 1
    bio: cython.pointer(BIO) = opened(chain)
    while good:
        certificate = PEM_read_bio_X509(bio, cython.NULL, cython.NULL, cython.NULL)
        if certificate == cython.NULL:
            break
        if count == 0:
            good = SSL_CTX_use_certificate(context, certificate)
            SSL_CTX_clear_chain_certs(context)
        else:
            good = SSL_CTX_add1_chain_cert(context, certificate)
        X509_free(certificate)
        count += 1
    BIO_free(bio)
    if count == 0 or not good:
        raise ValueError(f"the certificate cannot be used: {reason()}")
    ERR_clear_error()  # the end of the text is one, too
    return 0


def load_authorities(context, text, announced):
    """All that the text has."""
    certificate: cython.pointer(X509)
    count: cython.int = 0
    good: cython.int = 1
    bio: cython.pointer(BIO) = opened(text)
    while good:
        certificate = PEM_read_bio_X509(bio, cython.NULL, cython.NULL, cython.NULL)
        if certificate == cython.NULL:
            break
        good = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate)
        if announced:
            SSL_CTX_add_client_CA(context, certificate)
        X509_free(certificate)
        count += 1
    BIO_free(bio)
    if count == 0 or not good:
        raise ValueError(f"there is no certificate to believe: {reason()}")
    ERR_clear_error()
    return count


@cython.cfunc
@cython.exceptval(check=False)
def no_password(
    buffer: cython.p_char, size: cython.int, writing: cython.int, argument: cython.p_void
) -> cython.int:
    """Nobody is there to type one."""
    return -1
