// SHA-256 of the system's OpenSSL: the EVP interface, which uses the processor's SHA instructions where it has them.
#pragma once
#include <openssl/evp.h>
