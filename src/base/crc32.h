/* crc32.h - the two cyclic redundancy checks that foreign formats use. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 of zip and gzip (polynomial 0x04C11DB7); of "123456789" it is 0xCBF43926. */
uint32_t crc32_zip(const void *data, size_t n_bytes);

/* The same of what `crc` is of, and `data` after it. */
uint32_t crc32_zip_on(uint32_t crc, const void *data, size_t n_bytes);

/* CRC-32C, Castagnoli's (0x1EDC6F41), of LevelDB and TensorFlow; of "123456789" 0xE3069283. */
uint32_t crc32_castagnoli(const void *data, size_t n_bytes);

#endif
