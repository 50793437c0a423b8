// SHA-256, its HMAC, and signatures of the system's OpenSSL: the EVP interface, which uses the processor's SHA instructions where it has them, and PEM
// files of keys.
#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
