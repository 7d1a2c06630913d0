/* tensorflow_message.c - reads the fields of the two messages of an index. */
#include "weights/tensorflow/tensorflow_message.h"
#include "weights/tensorflow/leveldb.h"

struct message_field {
    unsigned number;
    uint64_t value;            /* of a varint, or of four or eight bytes */
    struct message_bytes span; /* of a length and its bytes              */
    unsigned kind;
};

/* The next field. False: the message is damaged. At its end number is 0. */
static bool next_field(struct message_field *f, struct message_bytes *s) {
    uint64_t tag, size = 0;
    *f = (struct message_field){0};
    if (s->at == s->end)
        return true;
    if (!leveldb_varint(&tag, &s->at, s->end) || tag >> 3 == 0 || tag >> 3 > 1000000)
        return false;
    f->number = (unsigned)(tag >> 3);
    f->kind = tag & 7;
    if (f->kind == 0)
        return leveldb_varint(&f->value, &s->at, s->end);
    if (f->kind == 2 && !leveldb_varint(&size, &s->at, s->end))
        return false;
    if (f->kind == 1 || f->kind == 5)
        size = f->kind == 1 ? 8 : 4;
    if ((f->kind != 2 && !size) || size > (size_t)(s->end - s->at))
        return false;
    f->span = (struct message_bytes){s->at, s->at + size};
    for (uint64_t i = size; f->kind != 2 && i > 0; i--)
        f->value = f->value << 8 | s->at[i - 1];
    s->at += size;
    return true;
}

/* TensorShapeProto: field 2 of it is a dimension, whose field 1 is its size; 3 says unknown rank.
 */
static bool read_shape(struct bundle_entry *e, struct message_bytes s) {
    struct message_field f, d;
    while (next_field(&f, &s)) {
        if (f.number == 0)
            return true;
        if (f.number != 2)
            continue;
        if (f.kind != 2 || e->rank == TENSOR_MAX_RANK)
            return false;
        int64_t size = 0;
        do {
            if (!next_field(&d, &f.span))
                return false;
            if (d.number == 1 && (d.kind != 0 || d.value > (uint64_t)TENSORFLOW_MAX_SIZE))
                return false;
            if (d.number == 1)
                size = (int64_t)d.value;
        } while (d.number);
        e->shape[e->rank++] = size;
    }
    return false;
}

bool tensorflow_message_read(struct bundle_entry *e, struct message_bytes s, bool is_header) {
    struct message_field f;
    *e = (struct bundle_entry){0};
    while (next_field(&f, &s)) {
        switch (is_header && f.number ? f.number + 100 : f.number) {
        case 0:
            return true;
        case 1:
            e->dtype = f.value;
            break;
        case 2:
            if (f.kind != 2 || !read_shape(e, f.span))
                return false;
            break;
        case 3:
            e->shard = f.value;
            break;
        case 4:
            e->offset = f.value;
            break;
        case 5:
            e->size = f.value;
            break;
        case 6:
            e->crc = (uint32_t)f.value;
            break;
        case 7:
            e->sliced = true;
            break;
        case 101:
            e->n_shards = f.value;
            break;
        case 102:
            e->big_endian = f.value;
            break;
        default:
            break;
        }
    }
    return false;
}
