/* digest.h - SHA-256 and SHA-1 (FIPS 180-4): is this the file that its publisher named?
 *
 * The hub names large files by the SHA-256 of their bytes, and small ones, as git does, by the
 * SHA-1 of "blob SIZE\0" and their bytes. SHA-1 shows damage; it does not stop a forger.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum digest_kind { DIGEST_SHA1, DIGEST_SHA256 };

struct digest {
    enum digest_kind kind;
    uint32_t state[8];       /* SHA-1 uses five */
    uint64_t n_bytes;        /* so far          */
    unsigned char block[64]; /* n_bytes % 64 of them wait here */
};

#define DIGEST_HEX 65 /* room for the digest as text, with its NUL */

void digest_start(struct digest *digest, enum digest_kind kind);
void digest_add(struct digest *digest, const void *data, size_t n_bytes);

/* Writes the digest in lower-case hexadecimal: 40 digits of SHA-1, 64 of SHA-256. */
void digest_end(struct digest *digest, char hex[DIGEST_HEX]);

#endif
