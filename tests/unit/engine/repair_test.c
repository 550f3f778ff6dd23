/* tests/unit/engine/repair_test.c: one whose record cannot be read asks followers of all kinds. */
#include "tests/unit/engine/stage.h"

#include "base/endian.h"
#include "engine/replica/replica.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { ANSWERS_MAX = 8, SECOND_US = 1000000, IMAGE_BYTES = 900 << 10 };

/* The record of an image, as a follower would give it: the server itself was asked for it. */
struct answers {
	uint64_t   lsn;
	uint32_t   count;
	struct buf payload[ANSWERS_MAX];
};

static void ask(struct actor *actor, uint64_t lsn, const char *key, uint64_t from)
{
	char number[24], db[24], type[24], at[24];
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("FETCH"), frame_word(number, lsn),
	    frame_word(db, 0), frame_word(type, RECORD_IMAGE), frame_word(at, from), span_text(key)};
	actor_say(actor, words, ARRAY_COUNT(words));
}

static void hear_answers(struct actor *actor, struct answers *out)
{
	struct fetched fetched = {.body_bytes = 1};
	out->count = 0;
	for (uint64_t done = 0; done < fetched.body_bytes; done = fetched.at + fetched.bytes.len) {
		cr_assert(actor_hears(actor, FRAME_FETCHED, SECOND_US));
		cr_assert(fetched_read(buf_span(&actor->heard), &fetched));
		cr_assert_lt(out->count, ANSWERS_MAX);
		struct buf *payload = &out->payload[out->count++];
		buf_init(payload, &actor->stage->memory);
		buf_append(payload, buf_span(&actor->heard));
	}
}

static void answers_drop(struct answers *answers)
{
	for (uint32_t i = 0; i < answers->count; i++)
		buf_fini(&answers->payload[i]);
}

static struct entry *entry_of(struct stage *stage, const char *key)
{
	struct entry *entry = directory_lookup(&stage_engine(stage)->directories[0], span_text(key));
	cr_assert_not_null(entry);
	return entry;
}

static void learn(struct stage *stage, const char *key, struct answers *out)
{
	struct actor reader;
	actor_enter(&reader, stage);
	out->lsn = entry_of(stage, key)->lsn;
	ask(&reader, out->lsn, key, 0);
	hear_answers(&reader, out);
	actor_leave(&reader);
	stage_run(stage, SECOND_US);
}

/* It is said to be corrupt. */
static void wish_for(struct stage *stage, const char *key)
{
	struct engine *engine = stage_engine(stage);
	struct image_ref ref;
	image_ref_of(engine, entry_of(stage, key), &ref);
	repair_note_key(engine, 0, span_text(key), ref.body, ref.body_lsn);
	cr_assert_eq(repairs_pending(engine), 1);
}

/* From where it is asked for. */
static uint64_t asked_from(struct actor *actor, uint64_t us)
{
	cr_assert(actor_hears(actor, FRAME_FETCH, us), "nobody asks");
	cr_assert_geq(actor->heard.len, REPAIR_ASK_HEAD);
	return load_le64(actor->heard.ptr + 16);
}

static void give(struct actor *actor, struct span payload)
{
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("FETCHED"), payload};
	actor_say(actor, words, ARRAY_COUNT(words));
}

static void give_nothing(struct actor *actor, const struct answers *answers, uint64_t at)
{
	uint8_t payload[28] = {0};
	store_le64(payload, answers->lsn);
	store_le64(payload + 16, at);
	give(actor, span_of(payload, sizeof(payload)));
}

static void give_from(struct actor *actor, const struct answers *answers, uint32_t first)
{
	for (uint32_t i = first; i < answers->count; i++)
		give(actor, buf_span(&answers->payload[i]));
}

/* What follows the first piece, as one that was asked for from there on says it: with the head. */
static void give_rest(struct actor *actor, const struct answers *answers, uint8_t flip)
{
	struct fetched first, second;
	struct buf payload;
	cr_assert(fetched_read(buf_span(&answers->payload[0]), &first));
	cr_assert(fetched_read(buf_span(&answers->payload[1]), &second));
	second.head = first.head;
	buf_init(&payload, &actor->stage->memory);
	fetched_write(&payload, &second);
	payload.ptr[payload.len - 1] ^= flip;
	give(actor, buf_span(&payload));
	buf_fini(&payload);
	give_from(actor, answers, 2);
}

static bool is_repaired(struct stage *stage, uint64_t us)
{
	struct repairs *repairs = stage_engine(stage)->repairs;
	for (uint64_t at = 0; at < us && repairs->count > 0; at += SECOND_US / 10)
		stage_run(stage, SECOND_US / 10);
	return repairs->repaired == 1 && repairs->count == 0;
}

Test(repair, a_peer_that_is_asked_from_the_middle_answers_from_there)
{
	struct stage stage;
	struct actor reader;
	struct answers all, rest;
	struct fetched one, other;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	learn(&stage, "a", &all);
	cr_assert_eq(all.count, 4);
	actor_enter(&reader, &stage);
	ask(&reader, all.lsn, "a", 2 * FETCH_PIECE);
	hear_answers(&reader, &rest);
	cr_assert_eq(rest.count, 2);
	cr_assert(fetched_read(buf_span(&all.payload[2]), &one));
	cr_assert(fetched_read(buf_span(&rest.payload[0]), &other));
	cr_assert_eq(other.at, one.at);
	cr_assert(span_equal(other.bytes, one.bytes));
	cr_assert_gt(other.head.len, 0);
	answers_drop(&all);
	answers_drop(&rest);
	actor_leave(&reader);
	stage_end(&stage);
}

Test(repair, a_body_goes_on_with_the_next_follower_where_the_link_was_cut)
{
	struct stage stage;
	struct actor first, second;
	struct answers answers;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	learn(&stage, "a", &answers);
	actor_enter(&first, &stage);
	actor_enter(&second, &stage);
	wish_for(&stage, "a");
	cr_assert_eq(asked_from(&first, SECOND_US), 0);
	give(&first, buf_span(&answers.payload[0]));
	stage_run(&stage, SECOND_US / 10);
	actor_leave(&first);
	cr_assert_eq(asked_from(&second, SECOND_US), FETCH_PIECE);
	give_rest(&second, &answers, 0);
	cr_assert(is_repaired(&stage, SECOND_US));
	answers_drop(&answers);
	actor_leave(&second);
	stage_end(&stage);
}

Test(repair, who_comes_back_is_asked_for_what_is_left_and_not_called_without_it)
{
	struct stage stage;
	struct actor first, second, back;
	struct answers answers;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	learn(&stage, "a", &answers);
	actor_enter(&first, &stage);
	actor_enter(&second, &stage);
	wish_for(&stage, "a");
	cr_assert_eq(asked_from(&first, SECOND_US), 0);
	give(&first, buf_span(&answers.payload[0]));
	stage_run(&stage, SECOND_US / 10);
	actor_leave(&first);
	(void)asked_from(&second, SECOND_US);
	give_nothing(&second, &answers, 0);
	stage_run(&stage, SECOND_US / 10);
	cr_assert_eq(stage_engine(&stage)->repairs->failed, 0, "who had it may still have it");
	cr_assert_eq(repairs_pending(stage_engine(&stage)), 1);
	actor_enter(&back, &stage);
	(void)asked_from(&second, 5 * SECOND_US);
	give_nothing(&second, &answers, 0);
	cr_assert_eq(asked_from(&back, 5 * SECOND_US), FETCH_PIECE);
	give_rest(&back, &answers, 0);
	cr_assert(is_repaired(&stage, SECOND_US));
	answers_drop(&answers);
	actor_leave(&second);
	actor_leave(&back);
	stage_end(&stage);
}

Test(repair, what_two_gave_and_is_wrong_is_asked_for_as_a_whole)
{
	struct stage stage;
	struct actor first, second;
	struct answers answers;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	learn(&stage, "a", &answers);
	actor_enter(&first, &stage);
	actor_enter(&second, &stage);
	wish_for(&stage, "a");
	(void)asked_from(&first, SECOND_US);
	answers.payload[0].ptr[answers.payload[0].len - 1] ^= 1;
	give(&first, buf_span(&answers.payload[0]));
	answers.payload[0].ptr[answers.payload[0].len - 1] ^= 1;
	stage_run(&stage, SECOND_US / 10);
	actor_leave(&first);
	cr_assert_eq(asked_from(&second, SECOND_US), FETCH_PIECE);
	give_rest(&second, &answers, 0);
	cr_assert_eq(asked_from(&second, SECOND_US), 0);
	give_from(&second, &answers, 0);
	cr_assert(is_repaired(&stage, SECOND_US));
	answers_drop(&answers);
	actor_leave(&second);
	stage_end(&stage);
}

Test(repair, one_that_cannot_tell_now_is_asked_again)
{
	struct stage stage;
	struct actor actor;
	struct answers answers;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	learn(&stage, "a", &answers);
	actor_enter(&actor, &stage);
	wish_for(&stage, "a");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(asked_from(&actor, 5 * SECOND_US), 0);
		give_nothing(&actor, &answers, FETCHED_LATER);
	}
	cr_assert_eq(asked_from(&actor, 5 * SECOND_US), 0);
	stage_run(&stage, 11 * SECOND_US);    /* and one that is silent, too */
	cr_assert_eq(asked_from(&actor, 5 * SECOND_US), 0);
	cr_assert_eq(stage_engine(&stage)->repairs->failed, 0);
	give_from(&actor, &answers, 0);
	cr_assert(is_repaired(&stage, SECOND_US));
	answers_drop(&answers);
	actor_leave(&actor);
	stage_end(&stage);
}

Test(repair, one_that_lacks_it_is_not_asked_again_soon)
{
	struct stage stage;
	struct actor actor;
	struct answers answers;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	learn(&stage, "a", &answers);
	actor_enter(&actor, &stage);
	wish_for(&stage, "a");
	(void)asked_from(&actor, SECOND_US);
	give_nothing(&actor, &answers, 0);
	stage_run(&stage, SECOND_US);
	cr_assert_eq(stage_engine(&stage)->repairs->failed, 1);
	cr_assert(stage_has_said(&stage, "nobody else has it"));
	cr_assert_eq(repairs_pending(stage_engine(&stage)), 0);
	answers_drop(&answers);
	actor_leave(&actor);
	stage_end(&stage);
}

/* A server whose pool and memory are taken: it says so, and in time. */
Test(repair, a_peer_without_memory_says_later)
{
	struct stage stage;
	struct actor reader;
	struct fetched fetched;
	struct body *taken[64];
	uint32_t count = 0;
	stage_begin(&stage);
	stage_put_image(&stage, "a", IMAGE_BYTES);
	struct engine *engine = stage_engine(&stage);
	actor_enter(&reader, &stage);
	while (count < ARRAY_COUNT(taken) && body_new(engine->pool, 512 << 10, &taken[count]) == OK)
		count++;
	cr_assert_lt(count, ARRAY_COUNT(taken));
	ask(&reader, entry_of(&stage, "a")->lsn, "a", 0);
	cr_assert(actor_hears(&reader, FRAME_FETCHED, 5 * SECOND_US));
	cr_assert(fetched_read(buf_span(&reader.heard), &fetched));
	cr_assert_eq(fetched.at, FETCHED_LATER);
	while (count > 0)
		body_unref(taken[--count]);
	ask(&reader, entry_of(&stage, "a")->lsn, "a", 0);
	cr_assert(actor_hears(&reader, FRAME_FETCHED, SECOND_US));
	cr_assert(fetched_read(buf_span(&reader.heard), &fetched));
	cr_assert_gt(fetched.head.len, 0);
	actor_leave(&reader);
	stage_end(&stage);
}
