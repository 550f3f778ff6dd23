/* tests/unit/engine/history_test.c: the history against a list, held records against an array. */
#include "engine/held.h"
#include "engine/past/history.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { KEYS = 12, VERSIONS = 4000 };

static struct memory memory;

/* ---- The naive model: every version there ever was ---- */

struct model_version {
	uint8_t  key;
	uint64_t lsn, end_lsn;
	int64_t  since_ms, until_ms;
};

struct model {
	struct model_version all[VERSIONS];
	uint32_t             count, dropped;
	uint64_t             now_lsn[KEYS];     /* of what the key is now; 0: nothing */
	int64_t              now_ms[KEYS];
	uint64_t             lsn;
	int64_t              ms;
};

static struct span key_of(uint8_t key, char out[16])
{
	int len = snprintf(out, 16, "key-%u", key / 2);
	return span_of(out, (size_t)len);
}

/* Keys 2n and 2n + 1 have the same name in two databases. */
static void model_end(struct model *model, struct history *history, uint8_t key, bool deleted)
{
	char text[16];
	if (model->now_lsn[key] == 0)
		return;
	const struct version what = {
	    .lsn = model->now_lsn[key] & 0xffffffff,
	    .body_lsn = model->now_lsn[key],
	    .since_ms = model->now_ms[key],
	};
	const struct ending ending = {
	    model->lsn, model->ms, deleted ? VERSION_DELETED : VERSION_SUPERSEDED};
	history_add(history, key % 2, key_of(key, text), &what, &ending);
	model->all[model->count++] = (struct model_version){
	    key, model->now_lsn[key], model->lsn, model->now_ms[key], model->ms};
	model->now_lsn[key] = 0;
}

static void model_step(struct model *model, struct history *history, struct random *random)
{
	uint8_t key = (uint8_t)random_below(random, KEYS);
	uint64_t what = random_below(random, 10);
	model->lsn += 1 + random_below(random, 3);
	model->ms += (int64_t)random_below(random, 4);
	if (what < 7) {
		model_end(model, history, key, false);
		model->now_lsn[key] = model->lsn;
		model->now_ms[key] = model->ms;
	} else if (what < 9) {
		model_end(model, history, key, true);
	} else if (history_oldest(history) != NULL) {
		cr_assert_eq(history_oldest(history)->lsn, model->all[model->dropped].lsn);
		history_drop_oldest(history);
		model->dropped++;
	}
}

/* The LSN of the version that a key had at a moment, by looking at all of them; 0: none. */
static uint64_t model_at(const struct model *model, uint8_t key, const struct moment *moment)
{
	uint64_t best = 0;
	for (uint32_t i = 0; i < model->count; i++) {
		const struct model_version *version = &model->all[i];
		bool in = moment->by_lsn
		    ? version->lsn <= moment->lsn && moment->lsn < version->end_lsn
		    : version->since_ms <= moment->ms && moment->ms < version->until_ms;
		if (version->key == key && in && version->lsn > best)
			best = version->lsn;
	}
	return best;
}

static void compare(const struct model *model, struct history *history, struct random *random)
{
	char text[16];
	uint8_t key = (uint8_t)random_below(random, KEYS);
	const struct moment moments[] = {
	    {.by_lsn = true, .lsn = random_below(random, model->lsn + 5)},
	    {.ms = (int64_t)random_below(random, (uint64_t)model->ms + 5)},
	};
	const struct past_key *past = history_find(history, key % 2, key_of(key, text));
	for (size_t i = 0; i < ARRAY_COUNT(moments); i++) {
		if (!history_covers(history, &moments[i]))
			continue;
		bool is_now = model->now_lsn[key] != 0 &&
		    moment_reaches(&moments[i], model->now_lsn[key], model->now_ms[key]);
		const struct version *found =
		    past == NULL || is_now ? NULL : history_at(past, &moments[i]);
		uint64_t want = is_now ? 0 : model_at(model, key, &moments[i]);
		cr_assert_eq(found == NULL ? 0 : found->lsn, want, "key %u: %llu, not %llu", key,
		    found == NULL ? 0ULL : (unsigned long long)found->lsn,
		    (unsigned long long)want);
	}
}

static void compare_chain(const struct model *model, const struct history *history, uint8_t key)
{
	char text[16];
	const struct past_key *past = history_find(history, key % 2, key_of(key, text));
	const struct version *version = past == NULL ? NULL : past->newest;
	uint32_t count = 0;
	for (uint32_t i = model->count; i > model->dropped; i--) {
		if (model->all[i - 1].key != key)
			continue;
		cr_assert(version != NULL);
		cr_assert_eq(version->lsn, model->all[i - 1].lsn);
		cr_assert_eq(version->end_lsn, model->all[i - 1].end_lsn);
		version = version->older;
		count++;
	}
	cr_assert(version == NULL);
	cr_assert_eq(past == NULL ? 0 : past->count, count);
}

Test(history, answers_as_a_list_of_all_versions_does)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		static struct model model;
		struct history history;
		struct random random;
		model = (struct model){.lsn = 1, .ms = 1000};
		random_init(&random, seed);
		history_init(&history, &memory, seed);
		for (int i = 0; i < VERSIONS; i++) {
			model_step(&model, &history, &random);
			compare(&model, &history, &random);
		}
		cr_assert(model.dropped > 100);
		cr_assert_eq(history.versions, model.count - model.dropped);
		for (uint8_t key = 0; key < KEYS; key++)
			compare_chain(&model, &history, key);
		history_fini(&history);
		cr_assert_eq(memory.bytes, 0);
	}
}

Test(history, a_clock_that_goes_back_does_not_hide_the_newest_version)
{
	struct history history;
	const struct version first = {.lsn = 1, .body_lsn = 1, .since_ms = 1000};
	const struct version second = {.lsn = 2, .body_lsn = 2, .since_ms = 900};
	const struct ending replaced = {2, 900, VERSION_SUPERSEDED}, gone = {3, 950, VERSION_DELETED};
	history_init(&history, &memory, 1);
	history_add(&history, 0, SPAN_LIT("k"), &first, &replaced);
	history_add(&history, 0, SPAN_LIT("k"), &second, &gone);
	const struct past_key *past = history_find(&history, 0, SPAN_LIT("k"));
	const struct moment between = {.ms = 940}, after = {.ms = 1100};
	cr_assert_eq(history_at(past, &between)->lsn, 2);
	cr_assert(history_at(past, &after) == NULL);
	history_fini(&history);
}

Test(history, a_thousand_versions_of_one_key_are_forgotten_one_by_one)
{
	struct history history;
	history_init(&history, &memory, 1);
	for (uint64_t i = 1; i <= 1000; i++) {
		const struct version what = {.lsn = i & 0xffff, .body_lsn = i, .since_ms = (int64_t)i};
		const struct ending ending = {i + 1, (int64_t)i + 1, VERSION_SUPERSEDED};
		history_add(&history, 3, SPAN_LIT("one"), &what, &ending);
	}
	for (uint64_t i = 1; i <= 1000; i++) {
		const struct moment moment = {.by_lsn = true, .lsn = i};
		const struct past_key *past = history_find(&history, 3, SPAN_LIT("one"));
		cr_assert_eq(past->count, 1001 - i);
		cr_assert(history_covers(&history, &moment));
		cr_assert_eq(history_at(past, &moment)->lsn, i);
		history_drop_oldest(&history);
		cr_assert(!history_covers(&history, &moment));
	}
	cr_assert(history_find(&history, 3, SPAN_LIT("one")) == NULL);
	history_fini(&history);
	cr_assert_eq(memory.bytes, 0);
}

Test(held, agrees_with_an_array)
{
	enum { LSNS = 3000 };
	static uint32_t model[LSNS + 1];
	struct held_table table;
	struct random random;
	uint64_t count = 0;
	random_init(&random, 7);
	held_init(&table, &memory);
	for (int i = 0; i < 200000; i++) {
		uint64_t lsn = 1 + random_below(&random, i % 20000 < 10000 ? LSNS : LSNS / 20);
		struct held *held = held_find(&table, lsn);
		cr_assert_eq(held != NULL, model[lsn] != 0);
		cr_assert(held == NULL || held->place.offset == model[lsn]);
		if (held == NULL && random_below(&random, 3) != 0) {
			model[lsn] = 1 + (uint32_t)i;
			held_add(&table, lsn, (struct place){1, model[lsn], 64}, false);
			count++;
		} else if (held != NULL && random_below(&random, 2) == 0) {
			held_remove(&table, held);
			model[lsn] = 0;
			count--;
		}
		cr_assert_eq(table.count, count);
	}
	for (uint64_t lsn = 1; lsn <= LSNS; lsn++)
		cr_assert_eq(held_find(&table, lsn) != NULL, model[lsn] != 0);
	held_fini(&table);
	cr_assert_eq(memory.bytes, 0);
}
