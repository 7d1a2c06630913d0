/* checksum.h - whether bytes have changed. It shows damage; it does not stop a forger. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* 64 bits over data[0..n_bytes), at any alignment; the same on every machine, now and later: files
 * hold it. A change inside one aligned group of 8 bytes (counted from `data`), so any single
 * flipped bit or byte, changes it for certain; any other change, or another length, with 1 - 2^-64.
 */
uint64_t checksum(const void *data, size_t n_bytes);

#endif
