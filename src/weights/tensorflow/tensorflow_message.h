/* tensorflow_message.h - the two messages of a "tensor bundle's" index:
 *
 *     ""              BundleHeaderProto   1: number of data files   2: byte order (0: little)
 *     "model/wte"     BundleEntryProto    1: type   2: shape { 2: { 1: size } ... }   3: which data
 *                     file   4: offset   5: size   6: masked CRC-32C of the data   7: slices
 *
 * A protocol buffer is fields of a varint (number * 8 + kind) and a value of that kind: 0 a varint,
 * 1 eight bytes, 2 a length and so many bytes, 5 four bytes. What is absent is 0. */
#ifndef WEIGHTS_TENSORFLOW_TENSORFLOW_MESSAGE_H
#define WEIGHTS_TENSORFLOW_TENSORFLOW_MESSAGE_H

#include "weights/tensors.h"

#define TENSORFLOW_MAX_SIZE ((int64_t)1 << 48) /* of a dimension */

struct message_bytes {
    const unsigned char *at, *end;
};

/* The fields that count of either message. */
struct bundle_entry {
    uint64_t dtype, shard, offset, size, n_shards, big_endian;
    uint32_t crc;
    bool sliced;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
};

/* Reads one message, all of whose bytes are `span`. False: it is damaged. */
bool tensorflow_message_read(struct bundle_entry *entry, struct message_bytes span, bool is_header);

#endif
