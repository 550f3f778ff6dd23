/* search/top.c: the best entries so far, as a binary heap with the worst on top. */
#include "search/run.h"

#include "base/endian.h"

enum { SORT_UNIT = 64 };

void top_fini(struct top *top, struct memory *memory)
{
	if (top->entries == NULL)
		return;
	for (uint32_t i = 0; i < top->count && top->memory != NULL; i++)
		if (top->entries[i].text_len > 0)
			memory_free(top->memory, top->entries[i].text, top->entries[i].text_len);
	memory_free(memory, top->entries, top->cap * sizeof(*top->entries));
	top->entries = NULL;
}

uint64_t text_key(struct span text)
{
	uint8_t bytes[sizeof(uint64_t)] = {0};
	if (text.len > 0)
		memcpy(bytes, text.ptr, text.len < sizeof(bytes) ? text.len : sizeof(bytes));
	return load_be64(bytes);
}

/* <0: a comes first by the sort key; documents are not compared. */
static int key_compare(const struct top *top, const struct entry *a, const struct entry *b)
{
	int order;
	if (top->sort == SORT_SCORE)
		return a->score > b->score ? -1 : a->score < b->score;
	if (a->missing != b->missing)
		return a->missing ? 1 : -1;
	if (a->missing)
		return 0;
	if (top->sort == SORT_NUMBER)
		order = a->number < b->number ? -1 : a->number > b->number;
	else if (a->key != b->key)
		order = a->key < b->key ? -1 : 1;
	else
		order = span_compare(span_of(a->text, a->text_len), span_of(b->text, b->text_len));
	return top->descending ? -order : order;
}

bool entry_is_better(const struct top *top, const struct entry *a, const struct entry *b)
{
	int order = key_compare(top, a, b);
	return order < 0 || (order == 0 && a->docid > b->docid);
}

static void top_sift_down(struct top *top, uint32_t count, const struct entry *entry)
{
	uint32_t at = 0;
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= count)
			break;
		if (child + 1 < count &&
		    entry_is_better(top, &top->entries[child], &top->entries[child + 1]))
			child++;
		if (!entry_is_better(top, entry, &top->entries[child]))
			break;
		top->entries[at] = top->entries[child];
		at = child;
	}
	top->entries[at] = *entry;
}

/* A copy of its text, if texts are copied. */
static struct entry entry_keep(struct top *top, const struct entry *entry)
{
	struct entry kept = *entry;
	if (top->memory == NULL || entry->text_len == 0)
		return kept;
	uint8_t *text = memory_alloc(top->memory, entry->text_len);
	memcpy(text, entry->text, entry->text_len);
	kept.text = text;
	top->text_bytes += kept.text_len;
	return kept;
}

static void entry_drop(struct top *top, const struct entry *entry)
{
	if (top->memory == NULL || entry->text_len == 0)
		return;
	ASSERT(top->text_bytes >= entry->text_len);
	top->text_bytes -= entry->text_len;
	memory_free(top->memory, entry->text, entry->text_len);
}

void top_offer(struct top *top, const struct entry *entry)
{
	ASSERT(top->sorted == 0);
	if (top->cap == 0)
		return;
	if (top->count == top->cap) {
		if (!entry_is_better(top, entry, &top->entries[0]))
			return;
		struct entry better = entry_keep(top, entry);
		entry_drop(top, &top->entries[0]);
		top_sift_down(top, top->count, &better);
		return;
	}
	struct entry kept = entry_keep(top, entry);
	uint32_t at = top->count++;
	while (at > 0 && entry_is_better(top, &top->entries[(at - 1) / 2], &kept)) {
		top->entries[at] = top->entries[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	top->entries[at] = kept;
}

bool top_sort(struct top *top)
{
	for (int i = 0; i < SORT_UNIT && top->sorted + 1 < top->count; i++) {
		uint32_t last = top->count - 1 - top->sorted;
		struct entry entry = top->entries[last];
		top->entries[last] = top->entries[0];
		top_sift_down(top, last, &entry);
		top->sorted++;
	}
	return top->sorted + 1 >= top->count;
}
