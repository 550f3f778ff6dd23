/* cache/rdb.h: strings and values as DUMP writes them and RESTORE reads them: Redis's format of objects.
 *
 *   u8 type | object | u16 version | u64 CRC-64 of all before it        (little-endian)
 *
 * Written: types 0 string, 1 list, 2 set, 4 hash, 5 sorted set, each as a count and plain strings, under
 * version 10, which Redis 7.0 and all later ones read. Read: those, 3 (scores as text), and the
 * compact ones that Redis 7 writes: 11 intset, 16 hash, 17 sorted set and 20 set as listpack, 18 list of
 * listpacks; numbers as strings; strings compressed by LZF. Every byte is checked: they come from
 * anywhere.
 */
#pragma once
#include "cache/value.h"

/* Of a string; of a value. Behind what `out` holds. */
void rdb_dump_string(struct span bytes, struct buf *out);
void rdb_dump_value(const struct value *value, struct buf *out);

/* ERR_VERSION: version or checksum are wrong. ERR_UNSUPPORTED: a type not named above. */
MUST_CHECK enum err rdb_check(struct span payload, enum entry_type *type);
/* Of a payload that rdb_check found good. ERR_CORRUPT: the rest is not: `out` is as it was. ERR_MEMORY. */
MUST_CHECK enum err rdb_load_string(struct span payload, struct buf *out);
MUST_CHECK enum err rdb_load_value(
    struct span payload, struct value *value, const struct value_limits *limits);
