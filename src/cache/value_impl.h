/* cache/value_impl.h: what the files of value.h share. Not for other folders. */
#pragma once
#include "cache/intset.h"
#include "cache/ops.h"
#include "cache/ranks.h"
#include "cache/sequence.h"
#include "cache/value.h"

enum { VALUE_MAGIC = 0x7a1ce001 };

/* The same elements in another form, that of a larger value. */
void value_convert(struct value *value, enum value_encoding encoding, const struct value_limits *limits);
/* The large form of a type. */
enum value_encoding value_large(unsigned type);
/* `count` from the packed bytes. */
void value_count_packed(struct value *value);

/* Where a member stands in a packed hash, set or sorted set; false: it is not there. */
bool value_packed_find(const struct value *value, const struct needle *needle, uint32_t *at);
