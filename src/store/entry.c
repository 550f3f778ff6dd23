/* store/entry.c: the layout of one entry (directory.h). Nothing here knows of buckets. */
#include "store/directory.h"

#include "base/arith.h"

enum { ENTRY_ALIGN = 16 };

/* A value of ENTRY_SHARED_MIN bytes or more in a block of its own. Replies may refer to it. */
struct block {
	struct memory *memory;
	uint32_t       refs, len;
	uint8_t        bytes[];
};

static size_t entry_fixed_bytes(unsigned type, unsigned flags)
{
	size_t bytes = sizeof(struct entry);
	if (flags & ENTRY_HAS_EXPIRY)
		bytes += sizeof(struct entry_expiry);
	if (type == ENTRY_IMAGE) {
		bytes += sizeof(struct entry_image);
		if (flags & ENTRY_HAS_META)
			bytes += sizeof(struct entry_meta);
	} else {
		bytes += sizeof(struct entry_value);
	}
	return bytes;
}

/* Bytes of the value that stand in the entry itself. */
static size_t entry_tail_bytes(const struct entry *entry)
{
	if (entry->type == ENTRY_IMAGE)
		return 0;
	if (entry->flags & (ENTRY_VALUE_BODY | ENTRY_VALUE_BLOCK | ENTRY_VALUE_OBJECT))
		return sizeof(void *);
	return entry_value((struct entry *)(uintptr_t)entry)->len;
}

static size_t entry_own_bytes(const struct entry *entry)
{
	size_t bytes = entry_fixed_bytes(entry->type, entry->flags) + entry->key_len;
	return round_up(bytes + entry_tail_bytes(entry), ENTRY_ALIGN);
}

uint64_t entry_expire_ms(const struct entry *entry)
{
	if (!(entry->flags & ENTRY_HAS_EXPIRY))
		return 0;
	return ((const struct entry_expiry *)(const void *)(entry + 1))->at_ms;
}

static uint8_t *entry_payload(const struct entry *entry)
{
	uint8_t *at = (uint8_t *)(uintptr_t)(entry + 1);
	return (entry->flags & ENTRY_HAS_EXPIRY) ? at + sizeof(struct entry_expiry) : at;
}

struct entry_image *entry_image(struct entry *entry)
{
	ASSERT(entry->type == ENTRY_IMAGE);
	return (struct entry_image *)(void *)entry_payload(entry);
}

struct entry_meta *entry_meta(struct entry *entry)
{
	ASSERT(entry->type == ENTRY_IMAGE);
	if (!(entry->flags & ENTRY_HAS_META))
		return NULL;
	return (struct entry_meta *)(void *)(entry_payload(entry) + sizeof(struct entry_image));
}

struct entry_value *entry_value(struct entry *entry)
{
	ASSERT(entry->type != ENTRY_IMAGE);
	return (struct entry_value *)(void *)entry_payload(entry);
}

/* The metadata record that began the version; NULL: its body's record did. */
static struct entry_meta *entry_version_meta(struct entry *entry)
{
	return entry->flags & ENTRY_QUIET_META ? NULL : entry_meta(entry);
}

uint64_t entry_version_lsn(struct entry *entry)
{
	const struct entry_meta *meta = entry_version_meta(entry);
	return meta != NULL ? meta->lsn : entry_image(entry)->body_lsn;
}

int64_t entry_since_ms(struct entry *entry)
{
	const struct entry_meta *meta = entry_version_meta(entry);
	const struct entry_image *image = entry_image(entry);
	if (meta != NULL)
		return (int64_t)meta->since_s * 1000 + meta->since_ms;
	return (int64_t)image->created_s * 1000 + image->since_ms;
}

void entry_set_since(struct entry *entry, int64_t time_ms)
{
	struct entry_meta *meta = entry_version_meta(entry);
	struct entry_image *image = entry_image(entry);
	if (meta != NULL) {
		meta->since_s = (uint32_t)(time_ms / 1000);
		meta->since_ms = (uint64_t)(time_ms % 1000) & 0xffff;
		return;
	}
	int64_t after_ms = time_ms - (int64_t)image->created_s * 1000;
	after_ms = after_ms < 0 ? 0 : after_ms > UINT16_MAX ? UINT16_MAX : after_ms;
	image->since_ms = (uint64_t)after_ms & 0xffff;
}

struct span entry_key(const struct entry *entry)
{
	const uint8_t *base = (const uint8_t *)entry;
	return span_of(base + entry_fixed_bytes(entry->type, entry->flags), entry->key_len);
}

static void *entry_pointer(const struct entry *entry)
{
	struct span key = entry_key(entry);
	void *ptr;
	memcpy(&ptr, key.ptr + key.len, sizeof(ptr));
	return ptr;
}

static uint8_t *block_new(struct memory *memory, struct span value)
{
	if (value.len < ENTRY_SHARED_MIN) {
		uint8_t *bytes = memory_alloc(memory, value.len);
		memcpy(bytes, value.ptr, value.len);
		return bytes;
	}
	struct block *block = memory_alloc(memory, sizeof(*block) + value.len);
	*block = (struct block){.memory = memory, .refs = 1, .len = (uint32_t)value.len};
	memcpy(block->bytes, value.ptr, value.len);
	return (uint8_t *)block;
}

void entry_block_unref(void *owner)
{
	struct block *block = owner;
	ASSERT(block->refs > 0);
	if (--block->refs == 0)
		memory_free(block->memory, block, sizeof(*block) + block->len);
}

void *entry_block_ref(const struct entry *entry)
{
	if (!(entry->flags & ENTRY_VALUE_BLOCK) || entry_string(entry).len < ENTRY_SHARED_MIN)
		return NULL;
	struct block *block = entry_pointer(entry);
	ASSERT(block->refs > 0 && block->refs < UINT32_MAX);
	block->refs++;
	return block;
}

struct body *entry_body(const struct entry *entry)
{
	return (entry->flags & ENTRY_VALUE_BODY) ? entry_pointer(entry) : NULL;
}

void *entry_object(const struct entry *entry)
{
	return (entry->flags & ENTRY_VALUE_OBJECT) ? entry_pointer(entry) : NULL;
}

struct span entry_string(const struct entry *entry)
{
	ASSERT(entry->type != ENTRY_IMAGE && !(entry->flags & ENTRY_VALUE_OBJECT));
	size_t len = entry_value((struct entry *)(uintptr_t)entry)->len;
	struct span key = entry_key(entry);
	if (entry->flags & ENTRY_VALUE_BODY)
		return body_span(entry_body(entry));
	if (entry->flags & ENTRY_VALUE_BLOCK)
		return span_of((uint8_t *)entry_pointer(entry) +
		        (len < ENTRY_SHARED_MIN ? 0 : offsetof(struct block, bytes)), len);
	return span_of(key.ptr + key.len, len);
}

size_t entry_bytes(const struct entry *entry)
{
	size_t bytes = entry_own_bytes(entry);
	if (entry->flags & (ENTRY_VALUE_BODY | ENTRY_VALUE_BLOCK))
		bytes += entry_string(entry).len;
	if ((entry->flags & ENTRY_VALUE_BLOCK) && entry_string(entry).len >= ENTRY_SHARED_MIN)
		bytes += sizeof(struct block);
	return bytes;
}

static struct entry *entry_new(struct memory *memory, struct span key, unsigned type,
    unsigned flags, size_t tail)
{
	ASSERT(key.len <= KEY_BYTES_MAX);
	size_t fixed = entry_fixed_bytes(type, flags);
	struct entry *entry = memory_alloc(memory, round_up(fixed + key.len + tail, ENTRY_ALIGN));
	memset(entry, 0, fixed);
	entry->type = type & 15U;
	entry->flags = flags & 0xfffU;
	entry->key_len = (uint32_t)key.len;
	if (key.len > 0)
		memcpy((uint8_t *)entry + fixed, key.ptr, key.len);
	struct entry_expiry *expiry = entry_expiry(entry);
	if (expiry != NULL)
		heap_node_init(&expiry->node);
	return entry;
}

struct entry *entry_new_image(struct memory *memory, struct span key, uint32_t flags)
{
	ASSERT((flags & ~(uint32_t)(ENTRY_HAS_EXPIRY | ENTRY_HAS_META)) == 0);
	return entry_new(memory, key, ENTRY_IMAGE, flags, 0);
}

struct entry *entry_new_string(struct memory *memory, struct span key, uint32_t flags,
    struct span value, struct body *body)
{
	ASSERT((flags & ~(uint32_t)ENTRY_HAS_EXPIRY) == 0);
	size_t tail = value.len;
	void *far = NULL;
	if (body != NULL) {
		value = body_span(body);
		flags |= ENTRY_VALUE_BODY;
		far = body;
	} else if (value.len > ENTRY_INLINE_MAX) {
		ASSERT(value.len <= BODY_INLINE_MAX);
		flags |= ENTRY_VALUE_BLOCK;
		far = block_new(memory, value);
	}
	if (far != NULL)
		tail = sizeof(far);
	struct entry *entry = entry_new(memory, key, ENTRY_STRING, flags, tail);
	entry_value(entry)->len = (uint32_t)value.len;
	uint8_t *at = (uint8_t *)(uintptr_t)entry_key(entry).ptr + key.len;
	if (far != NULL)
		memcpy(at, &far, sizeof(far));
	else if (value.len > 0)
		memcpy(at, value.ptr, value.len);
	return entry;
}

struct entry *entry_new_object(
    struct memory *memory, struct span key, uint32_t flags, void *object)
{
	ASSERT((flags & ~(uint32_t)ENTRY_HAS_EXPIRY) == 0);
	struct entry *entry =
	    entry_new(memory, key, ENTRY_STRING, flags | ENTRY_VALUE_OBJECT, sizeof(object));
	memcpy((uint8_t *)(uintptr_t)entry_key(entry).ptr + key.len, &object, sizeof(object));
	return entry;
}

bool entry_string_overwrite(struct entry *entry, struct span value)
{
	struct entry_value *slot = entry_value(entry);
	if (value.len > ENTRY_INLINE_MAX ||
	    (entry->flags & (ENTRY_VALUE_BODY | ENTRY_VALUE_BLOCK | ENTRY_VALUE_OBJECT)))
		return false;
	size_t fixed = entry_fixed_bytes(ENTRY_STRING, entry->flags) + entry->key_len;
	if (round_up(fixed + value.len, ENTRY_ALIGN) != round_up(fixed + slot->len, ENTRY_ALIGN))
		return false;
	slot->len = (uint32_t)value.len;
	if (value.len > 0)
		memmove((uint8_t *)entry + fixed, value.ptr, value.len);
	return true;
}

void entry_free(struct memory *memory, struct entry *entry)
{
	struct entry_expiry *expiry = entry_expiry(entry);
	ASSERT(expiry == NULL || expiry->node.position == HEAP_OUT);
	if (entry->flags & ENTRY_VALUE_BODY)
		body_unref(entry_body(entry));
	else if ((entry->flags & ENTRY_VALUE_BLOCK) && entry_value(entry)->len >= ENTRY_SHARED_MIN)
		entry_block_unref(entry_pointer(entry));
	else if (entry->flags & ENTRY_VALUE_BLOCK)
		memory_free(memory, entry_pointer(entry), entry_value(entry)->len);
	memory_free(memory, entry, entry_own_bytes(entry));
}
