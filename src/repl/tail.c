/* repl/tail.c: see tail.h. */
#include "repl/tail.h"

#include "base/buf.h"
#include "store/body.h"

void tail_init(struct tail *tail, struct memory *memory)
{
	ASSERT(memory != NULL);
	*tail = (struct tail){.memory = memory};
}

static struct tail_slot *tail_slot(const struct tail *tail, uint32_t at)
{
	ASSERT(at < tail->count);
	return &tail->slots[(tail->first + at) & (tail->cap - 1)];
}

static void tail_free_item(struct tail *tail, struct tail_item *item)
{
	uint64_t body_bytes = item->record.body == NULL ? 0 : item->record.body->len;
	tail->bytes -= item->bytes + body_bytes;
	tail->bodies -= body_bytes;
	body_unref(item->record.body);
	memory_free(tail->memory, item, item->bytes);
}

static void tail_drop_first(struct tail *tail)
{
	const struct tail_slot *slot = tail_slot(tail, 0);
	ASSERT(slot->lsn > tail->before);
	tail->before = slot->lsn;
	tail_free_item(tail, slot->item);
	tail->first = (tail->first + 1) & (tail->cap - 1);
	tail->count--;
}

void tail_fini(struct tail *tail)
{
	tail_stop(tail);
}

void tail_start(struct tail *tail, uint64_t lsn)
{
	if (tail->is_on)
		return;
	ASSERT(tail->count == 0);
	tail->is_on = true;
	tail->before = lsn;
}

void tail_stop(struct tail *tail)
{
	while (tail->count > 0)
		tail_drop_first(tail);
	ASSERT(tail->bytes == 0 && tail->bodies == 0);
	memory_free(tail->memory, tail->slots, tail->cap * sizeof(*tail->slots));
	tail->slots = NULL;
	tail->cap = tail->first = 0;
	tail->is_on = false;
}

static void tail_append(struct tail *tail, struct tail_item *item)
{
	if (tail->count == tail->cap) {
		uint32_t cap = tail->cap == 0 ? 64 : 2 * tail->cap;
		struct tail_slot *slots = memory_alloc(tail->memory, cap * sizeof(*slots));
		for (uint32_t i = 0; i < tail->count; i++)
			slots[i] = *tail_slot(tail, i);
		memory_free(tail->memory, tail->slots, tail->cap * sizeof(*slots));
		tail->slots = slots;
		tail->cap = cap;
		tail->first = 0;
	}
	tail->count++;
	*tail_slot(tail, tail->count - 1) = (struct tail_slot){item->record.lsn, item};
}

static struct span tail_copy(uint8_t **at, struct span bytes)
{
	uint8_t *to = *at;
	if (bytes.len > 0)
		memcpy(to, bytes.ptr, bytes.len);
	*at += bytes.len;
	return span_of(to, bytes.len);
}

void tail_add(struct tail *tail, const struct record *record)
{
	if (!tail->is_on)
		return;
	size_t bytes = sizeof(struct tail_item) + record->key.len + record->meta.len + record->value.len;
	struct tail_item *item = memory_alloc(tail->memory, bytes);
	uint8_t *at = (uint8_t *)(item + 1);
	item->bytes = bytes;
	item->record = *record;
	item->record.key = tail_copy(&at, record->key);
	item->record.meta = tail_copy(&at, record->meta);
	item->record.value = tail_copy(&at, record->value);
	item->record.flags &= RECORD_CONTINUES;
	uint64_t body_bytes = 0;
	if (record->body != NULL) {
		item->record.body = body_ref(record->body);
		body_bytes = record->body->len;
	}
	tail_append(tail, item);
	tail->bytes += bytes + body_bytes;
	tail->bodies += body_bytes;
	while (tail->count > 1 &&
	    (tail->bytes > TAIL_BYTES_MAX || tail->count > TAIL_RECORDS_MAX))
		tail_drop_first(tail);
	if (tail->bytes > TAIL_BYTES_MAX)     /* one long body: it is read from the disk */
		tail_drop_first(tail);
}

void tail_extend(struct tail *tail, uint64_t lsn, struct span more)
{
	if (tail->count == 0)
		return;
	struct tail_item *last = tail_slot(tail, tail->count - 1)->item;
	if (last->record.lsn != lsn)
		return;                   /* it is not here: it comes from the disk, as it is then */
	struct buf value;
	struct record record = last->record;
	ASSERT(record.body == NULL);
	buf_init(&value, tail->memory);
	buf_append(&value, record.value);
	buf_append(&value, more);
	record.value = buf_span(&value);
	tail->count--;
	tail_add(tail, &record);
	tail_free_item(tail, last);           /* it lends key and metadata until then */
	buf_fini(&value);
}

const struct tail_item *tail_after(const struct tail *tail, uint64_t lsn)
{
	uint32_t low = 0, high = tail->count;
	ASSERT(tail_covers(tail, lsn));
	if (lsn - tail->before < high)                /* no LSN is there twice */
		high = (uint32_t)(lsn - tail->before);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (tail_slot(tail, middle)->lsn <= lsn)
			low = middle + 1;
		else
			high = middle;
	}
	return low == tail->count ? NULL : tail_slot(tail, low)->item;
}
