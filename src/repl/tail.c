/* repl/tail.c: see tail.h. */
#include "repl/tail.h"

#include "base/buf.h"
#include "store/body.h"

void tail_init(struct tail *tail, struct memory *memory)
{
	*tail = (struct tail){.memory = memory};
	list_init(&tail->items);
}

static void tail_drop_first(struct tail *tail)
{
	ASSERT(tail->count > 0);
	struct tail_item *item = LIST_OF(tail->items.next, struct tail_item, link);
	uint64_t body_bytes = item->record.body == NULL ? 0 : item->record.body->len;
	ASSERT(item->record.lsn > tail->before);
	tail->before = item->record.lsn;
	tail->count--;
	tail->bytes -= item->bytes + body_bytes;
	tail->bodies -= body_bytes;
	list_remove(&item->link);
	body_unref(item->record.body);
	memory_free(tail->memory, item, item->bytes);
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
	tail->is_on = false;
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
	list_append(&tail->items, &item->link);
	tail->count++;
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
	struct tail_item *last = LIST_OF(tail->items.prev, struct tail_item, link);
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
	tail->bytes -= last->bytes;
	list_remove(&last->link);
	tail_add(tail, &record);
	memory_free(tail->memory, last, last->bytes);
	buf_fini(&value);
}

const struct tail_item *tail_after(const struct tail *tail, uint64_t lsn)
{
	struct list *at = tail->items.prev;
	ASSERT(tail_covers(tail, lsn));
	while (at != &tail->items && LIST_OF(at, struct tail_item, link)->record.lsn > lsn)
		at = at->prev;
	return at->next == &tail->items ? NULL : LIST_OF(at->next, struct tail_item, link);
}
