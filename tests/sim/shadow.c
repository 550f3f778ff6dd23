/* tests/sim/shadow.c: see shadow.h. */
#include "tests/sim/shadow.h"

#include "base/hash.h"
#include "tests/sim/worker.h"

#include <stdio.h>
#include <stdlib.h>

enum { IMAGES = 12, IMAGE_SIDES = 4, PARTS_MAX = 5, PLACES = 8 };
enum { TOKENS = SHADOW_KEYS * PLACES + SHADOW_MOMENTS * SHADOW_KEYS };

void shadow_init(struct shadow *shadow, struct memory *memory, int client)
{
	*shadow = (struct shadow){
	    .memory = memory, .client = client, .strings_sure = true, .images_sure = true};
	shadow->next_content = 1 + (uint64_t)client * 1000000;
}

/* ---- Contents ---- */

static void put_random(uint64_t seed, uint32_t len, struct buf *out)
{
	struct random random;
	random_init(&random, seed);
	buf_reserve(out, len + sizeof(uint64_t));
	for (uint32_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = random_next(&random);
		memcpy(out->ptr + out->len + i, &word, sizeof(word));
	}
	out->len += len;
}

/* A piece of a string: its length and bytes follow from the number. */
static void string_piece(uint64_t content, struct buf *out)
{
	static const uint32_t lengths[] = {1, 3, 20, 200, 3000, 17000, 70000};
	uint32_t len = lengths[content % ARRAY_COUNT(lengths)];
	put_random(content, len, out);
}

/* What each APPEND of this client adds. */
static uint64_t append_content(const struct shadow *shadow)
{
	return 2 + (uint64_t)shadow->client;
}

/* A BMP of 24 bits whose pixels follow from the number. */
static void image_bytes(uint64_t content, struct buf *out)
{
	static const uint32_t sides[IMAGE_SIDES] = {4, 40, 100, 260};
	uint32_t side = sides[content % IMAGE_SIDES];
	uint32_t pixels = side * side * 3;
	uint8_t head[54] = {'B', 'M'};
	uint32_t fields[][2] = {
	    {2, 54 + pixels}, {10, 54}, {14, 40}, {18, side}, {22, side}, {34, pixels}};
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
		memcpy(head + fields[i][0], &fields[i][1], 4);
	head[26] = 1;
	head[28] = 24;
	buf_append(out, span_of(head, sizeof(head)));
	put_random(content, pixels, out);
}

/* ---- Commands ---- */

static void put_word(struct buf *out, struct span word)
{
	buf_printf(out, "$%zu\r\n", word.len);
	buf_append(out, word);
	buf_append(out, SPAN_LIT("\r\n"));
}

static void put_key(const struct shadow *shadow, struct buf *out, uint32_t key)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "c%d:k%u", shadow->client, key);
	put_word(out, span_of(text, (size_t)len));
}

static void put_head(struct buf *out, uint32_t words, const char *name)
{
	buf_printf(out, "*%u\r\n", words);
	put_word(out, span_text(name));
}

/* AT LSN n: three words. */
static void put_moment(const struct shadow *shadow, struct buf *out, uint32_t moment)
{
	char text[32];
	int len = snprintf(
	    text, sizeof(text), "%llu", (unsigned long long)shadow->moments[moment].lsn);
	put_word(out, SPAN_LIT("AT"));
	put_word(out, SPAN_LIT("LSN"));
	put_word(out, span_of(text, (size_t)len));
}

static void put_content(struct shadow *shadow, struct buf *out, uint64_t content, bool image)
{
	struct buf bytes;
	buf_init(&bytes, shadow->memory);
	if (image)
		image_bytes(content, &bytes);
	else
		string_piece(content, &bytes);
	put_word(out, buf_span(&bytes));
	buf_fini(&bytes);
}

static void remember(struct shadow *shadow, const struct shadow_value *value)
{
	enum { LAST = 200 };
	uint32_t from = shadow->past_count > LAST ? shadow->past_count - LAST : 0;
	for (uint32_t i = from; i < shadow->past_count; i++)
		if (memcmp(&shadow->past[i % SHADOW_PAST], value, sizeof(*value)) == 0)
			return;
	shadow->past[shadow->past_count++ % SHADOW_PAST] = *value;
}

/* ---- What a command does ---- */

static void op_apply(struct shadow *shadow, const struct shadow_op *op, struct shadow_state *state)
{
	struct shadow_value *value = &state->keys[op->key], *other = &state->keys[op->other];
	const struct shadow_value string = {
	    .kind = SHADOW_STRING, .parts = 1, .content = op->content};
	switch (op->verb) {
	case DO_SET:
		*value = string;
		break;
	case DO_APPEND:
		if (value->kind == SHADOW_ABSENT)
			*value = string;
		else if (value->kind == SHADOW_STRING)
			value->parts++;
		break;
	case DO_DEL:
		*value = (struct shadow_value){0};
		break;
	case DO_FLUSH:
		*state = (struct shadow_state){0};
		break;
	case DO_MSET:
		*value = string;
		remember(shadow, value);      /* two records, also if both are of one key */
		*other = string;
		other->content = op->content2;
		break;
	case DO_RENAME:
		if (value->kind == SHADOW_ABSENT || value == other)
			break;
		*other = *value;
		*value = (struct shadow_value){0};
		break;
	case DO_PUT:
		*value = (struct shadow_value){.kind = SHADOW_IMAGE, .content = op->content};
		break;
	case DO_EDIT:
		if (value->kind == SHADOW_IMAGE)
			value->title = op->content;
		break;
	case DO_EXEC:
		*value = string;
		remember(shadow, value);
		*other = (struct shadow_value){.kind = SHADOW_IMAGE, .content = op->content2};
		break;
	case DO_RESTORE:
		other = value;
		if (shadow->moments[op->moment].state.keys[op->key].kind == SHADOW_IMAGE)
			*value = shadow->moments[op->moment].state.keys[op->key];
		break;
	default:
		break;
	}
	remember(shadow, value);
	remember(shadow, other);
}

/* A string and an image, in one transaction. */
static void exec_write(struct shadow *shadow, const struct shadow_op *op, struct buf *out)
{
	put_head(out, 1, "MULTI");
	put_head(out, 3, "SET");
	put_key(shadow, out, op->key);
	put_content(shadow, out, op->content, false);
	put_head(out, 3, "IMG.PUT");
	put_key(shadow, out, op->other);
	put_content(shadow, out, op->content2, true);
	put_head(out, 1, "EXEC");
}

static void op_write(struct shadow *shadow, const struct shadow_op *op, struct buf *out)
{
	static const struct { const char *name; uint32_t words; } verbs[] = {
	    [DO_SET] = {"SET", 3}, [DO_APPEND] = {"APPEND", 3}, [DO_DEL] = {"DEL", 2},
	    [DO_MSET] = {"MSET", 5}, [DO_RENAME] = {"RENAME", 3}, [DO_PUT] = {"IMG.PUT", 3},
	    [DO_EDIT] = {"IMG.EDIT", 4}, [DO_RESTORE] = {"IMG.RESTORE", 5}, [DO_TIER] = {"IMG.TIER", 4},
	    [DO_FLUSH] = {"FLUSHDB", 1}, [DO_WAIT] = {"WAITAOF", 4}};
	char title[32];
	if (op->verb == DO_EXEC) {
		exec_write(shadow, op, out);
		return;
	}
	/* An empty result deletes the key as DEL does, whatever it was. */
	if (op->verb == DO_DEL && op->warm) {
		put_head(out, 3, "SINTERSTORE");
		put_key(shadow, out, op->key);
		put_word(out, SPAN_LIT("none"));
		return;
	}
	put_head(out, verbs[op->verb].words, verbs[op->verb].name);
	if (op->verb == DO_FLUSH)
		return;
	if (op->verb == DO_WAIT) {
		put_word(out, SPAN_LIT("1"));
		put_word(out, SPAN_LIT("0"));
		put_word(out, SPAN_LIT("0"));
		return;
	}
	if (op->verb == DO_TIER) {
		put_word(out, SPAN_LIT("SET"));
		put_word(out, op->warm ? SPAN_LIT("warm") : SPAN_LIT("hot"));
	}
	put_key(shadow, out, op->key);
	if (op->verb == DO_SET || op->verb == DO_APPEND || op->verb == DO_MSET)
		put_content(shadow, out, op->content, false);
	if (op->verb == DO_MSET || op->verb == DO_RENAME)
		put_key(shadow, out, op->other);
	if (op->verb == DO_MSET)
		put_content(shadow, out, op->content2, false);
	if (op->verb == DO_PUT)
		put_content(shadow, out, op->content, true);
	if (op->verb == DO_RESTORE)
		put_moment(shadow, out, op->moment);
	if (op->verb != DO_EDIT)
		return;
	put_word(out, SPAN_LIT("TITLE"));
	int len = snprintf(title, sizeof(title), "%llu", (unsigned long long)op->content);
	put_word(out, span_of(title, (size_t)len));
}

static bool all_is_sure(const struct shadow *shadow)
{
	return shadow->strings_sure && shadow->images_sure;
}

static void send_one(struct shadow *shadow, const struct shadow_op *op, struct buf *out)
{
	ASSERT(shadow->pending < SHADOW_PENDING);
	shadow->ops[shadow->pending++] = *op;
	op_write(shadow, op, out);
}

void shadow_send_delete(struct shadow *shadow, struct buf *out)
{
	ASSERT(shadow->pending == 0);
	const struct shadow_op op = {
	    .verb = DO_DEL, .key = (uint8_t)(shadow->delete_next++ % SHADOW_KEYS)};
	send_one(shadow, &op, out);
}

void shadow_send_put(struct shadow *shadow, struct buf *out)
{
	ASSERT(shadow->pending == 0);
	struct shadow_op op = {.verb = DO_PUT, .content = 1 + shadow->next_content++ % IMAGES};
	send_one(shadow, &op, out);
}

void shadow_greet(struct shadow *shadow, struct buf *out)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%d", 1 + shadow->client);
	shadow->greeted = true;
	put_head(out, 2, "SELECT");
	put_word(out, span_of(text, (size_t)len));
}

void shadow_send(struct shadow *shadow, struct random *random, struct buf *out)
{
	ASSERT(shadow->pending == 0);
	struct shadow_state state = shadow->known;
	uint32_t count = 1 + (uint32_t)random_below(random, SHADOW_PENDING);
	bool full = shadow->loose_count + SHADOW_PENDING > SHADOW_LOOSE;
	if (full || (!all_is_sure(shadow) && random_below(random, 8) == 0)) {
		const struct shadow_op op = {.verb = DO_WAIT};
		send_one(shadow, &op, out);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct shadow_op *op = &shadow->ops[i];
		*op = (struct shadow_op){
		    .verb = (uint8_t)random_below(random, DO_TIER + 1),
		    .key = (uint8_t)random_below(random, SHADOW_KEYS),
		    .other = (uint8_t)random_below(random, SHADOW_KEYS),
		    .warm = random_below(random, 3) > 0,
		    .moment = (uint8_t)random_below(random, SHADOW_MOMENTS),
		    .content = shadow->next_content++, .content2 = shadow->next_content++};
		if (random_below(random, 40) == 0)
			op->verb = DO_FLUSH;
		if (op->verb == DO_APPEND && state.keys[op->key].parts >= PARTS_MAX)
			op->verb = DO_DEL;
		if (op->verb == DO_RESTORE && shadow->moments[op->moment].lsn == 0)
			op->verb = DO_PUT;
		/* A few images, alike for all clients, so that bytes are shared all the time. */
		if (op->verb == DO_PUT)
			op->content = 1 + random_below(random, IMAGES);
		if (op->verb == DO_EXEC)
			op->content2 = 1 + random_below(random, IMAGES);
		/* Appended pieces are all alike, so that it does not matter which were refused. */
		if (op->verb == DO_APPEND)
			op->content = append_content(shadow);
		op_write(shadow, op, out);
		op_apply(shadow, op, &state);
	}
	shadow->pending = count;
	shadow->exec_replies = 0;
}

/* ---- Answers ---- */

/* One line or bulk string at the front: its first byte and content. 0: not complete. */
static size_t token_length(struct span in, char *kind, struct span *content)
{
	const uint8_t *end = in.len == 0 ? NULL : memchr(in.ptr, '\n', in.len);
	if (end == NULL)
		return 0;
	size_t line = (size_t)(end - in.ptr) + 1;
	*kind = (char)in.ptr[0];
	*content = span_slice(in, 1, line - 3);
	if (*kind != '$')
		return line;
	long len = strtol((const char *)in.ptr + 1, NULL, 10);
	if (len < 0) {
		*kind = '_';
		return line;
	}
	if (in.len < line + (size_t)len + 2)
		return 0;
	*content = span_slice(in, line, (size_t)len);
	return line + (size_t)len + 2;
}

/* False: the answer to the greeting is not there yet. */
static bool greeting_is_over(struct shadow *shadow, struct buf *in)
{
	char kind;
	struct span content;
	size_t len = shadow->greeted ? token_length(buf_span(in), &kind, &content) : 0;
	if (len == 0)
		return !shadow->greeted;
	ASSERT(kind == '+');
	shadow->greeted = false;
	buf_consume(in, len);
	return true;
}

static bool begins_with(struct span text, const char *start)
{
	return span_equal(span_slice(text, 0, strlen(start)), span_text(start));
}

/* One of the replies to a transaction: OK, QUEUED twice, an array of two, and these. False:
 * more are to come. An element that is refused for want of room must not be. */
static bool exec_answered(struct shadow *shadow, char *kind, struct span *content)
{
	enum { HEADER = 3, REPLIES = 6 };
	uint32_t at = shadow->exec_replies++;
	if (at == 0)
		shadow->exec_unsafe = false;
	if (at < HEADER && *kind == '-') {        /* shares a slot with one whose record was lost */
		ASSERT(begins_with(*content, "READONLY"));
		shadow->exec_unsafe = true;
		return false;
	}
	if (at == HEADER && *kind == '-') {
		shadow->exec_replies = 0;     /* refused as a whole */
		return true;
	}
	if (at > HEADER && *kind == '-') {
		ASSERT(begins_with(*content, "READONLY"));
		shadow->exec_unsafe = true;
	}
	if (at + 1 < REPLIES)
		return false;
	shadow->exec_replies = 0;
	*kind = shadow->exec_unsafe ? '-' : '+';
	*content = shadow->exec_unsafe ? SPAN_LIT("READONLY") : SPAN_LIT("OK");
	return true;
}

/* The three lines of an answer to WAITAOF: an array, how many disks, how many replicas. */
static bool wait_answered(struct shadow *shadow, char kind, struct span content)
{
	ASSERT(kind == (shadow->wait_replies == 0 ? '*' : ':'));
	bool yes = shadow->wait_replies == 1 && content.ptr[0] == '1';
	if (yes) {
		shadow->sure = shadow->known;
		shadow->loose_count = 0;
		shadow->waited++;
	}
	shadow->wait_replies = (shadow->wait_replies + 1) % 3;
	return shadow->wait_replies == 0;
}

/* A command took effect. What an answer promises covers all that this client asked for before. */
static void note_done(struct shadow *shadow, const struct shadow_op *op, bool ends_image)
{
	bool image = op->verb == DO_PUT || ends_image;
	if (all_is_sure(shadow) || (shadow->images_sure && image)) {
		shadow->sure = shadow->known;
		shadow->loose_count = 0;
		return;
	}
	ASSERT(shadow->loose_count < SHADOW_LOOSE);
	shadow->loose[shadow->loose_count++] =
	    (struct shadow_loose){shadow->known, shadow->time_us};
}

void shadow_sure_before(struct shadow *shadow, uint64_t time_us)
{
	uint32_t count = 0;
	while (count < shadow->loose_count && shadow->loose[count].time_us < time_us)
		shadow->sure = shadow->loose[count++].state;
	shadow->loose_count -= count;
	memmove(shadow->loose, shadow->loose + count,
	    shadow->loose_count * sizeof(shadow->loose[0]));
}

void shadow_answered(struct shadow *shadow, struct buf *in)
{
	char kind;
	struct span content;
	size_t len;
	while (greeting_is_over(shadow, in) && shadow->uncertain < shadow->pending &&
	    (len = token_length(buf_span(in), &kind, &content)) > 0) {
		uint32_t at = shadow->uncertain;
		if (shadow->ops[at].verb == DO_EXEC && !exec_answered(shadow, &kind, &content)) {
			buf_consume(in, len);
			continue;
		}
		if (shadow->ops[at].verb == DO_WAIT && !wait_answered(shadow, kind, content)) {
			buf_consume(in, len);
			continue;
		}
		/* The disk failed for good under a waiting command: it may have come through. */
		if (kind == '-' && begins_with(content, "READONLY")) {
			shadow->uncertain++;
			buf_consume(in, len);
			continue;
		}
		/* Any other error is a refusal, which leaves things as they were. */
		bool done = kind != '-';
		if (done && shadow->ops[at].verb != DO_WAIT) {
			const struct shadow_op *op = &shadow->ops[at];
			bool ends_image = op->verb == DO_DEL && at == 0 &&
			    shadow->known.keys[op->key].kind == SHADOW_IMAGE;
			op_apply(shadow, op, &shadow->known);
			note_done(shadow, op, ends_image);
		}
		shadow->pending--;
		memmove(&shadow->ops[at], &shadow->ops[at + 1],
		    (shadow->pending - at) * sizeof(shadow->ops[0]));
		buf_consume(in, len);
	}
}

/* Four questions a key: TYPE, GET, IMG.GET, IMG.INFO key title phash; then each key at each moment. */
void shadow_ask(struct shadow *shadow, struct buf *out)
{
	shadow_greet(shadow, out);
	for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
		put_head(out, 2, "TYPE");
		put_key(shadow, out, key);
		put_head(out, 2, "GET");
		put_key(shadow, out, key);
		put_head(out, 2, "IMG.GET");
		put_key(shadow, out, key);
		put_head(out, 4, "IMG.INFO");
		put_key(shadow, out, key);
		put_word(out, SPAN_LIT("title"));
		put_word(out, SPAN_LIT("phash"));
	}
	for (uint32_t moment = 0; moment < SHADOW_MOMENTS; moment++) {
		for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
			put_head(out, 5, "IMG.GET");
			put_key(shadow, out, key);
			put_moment(shadow, out, moment);
		}
	}
	memset(shadow->seen_then, 0, sizeof(shadow->seen_then));
	memset(shadow->forgotten, 0, sizeof(shadow->forgotten));
	shadow->token = 0;
	memset(shadow->seen, 0, sizeof(shadow->seen));
}

/* One token of the answers: eight places a key, of which four are skipped without an image. */
static void take_token(struct shadow *shadow, char kind, struct span content)
{
	if (shadow->token >= SHADOW_KEYS * PLACES) {
		uint32_t at = shadow->token++ - SHADOW_KEYS * PLACES;
		struct shadow_seen *then = &shadow->seen_then[at / SHADOW_KEYS][at % SHADOW_KEYS];
		shadow->forgotten[at / SHADOW_KEYS] |= kind == '-';
		if (kind == '$')
			*then = (struct shadow_seen){
			    .kind = SHADOW_IMAGE, .bytes = digest_of(content)};
		return;
	}
	struct shadow_seen *seen = &shadow->seen[shadow->token / PLACES];
	uint32_t place = shadow->token % PLACES;
	if (kind == '-' && begins_with(content, "CORRUPT"))
		seen->kind = SHADOW_CORRUPT;
	if (place == 0 && kind == '+')
		seen->kind = begins_with(content, "string") ? SHADOW_STRING
		    : begins_with(content, "image") ? SHADOW_IMAGE : SHADOW_ABSENT;
	if ((place == 1 || place == 2) && kind == '$')
		seen->bytes = digest_of(content);
	if (place == 5 && kind == '$')
		for (size_t i = 0; i < content.len; i++)
			seen->title = seen->title * 10 + (uint64_t)(content.ptr[i] - '0');
	if (place == 7 && kind == '$' && content.len == sizeof(seen->phash)) {
		memcpy(seen->phash, content.ptr, content.len);
		shadow->hashes++;
	}
	shadow->token += place == 3 && kind != '*' ? 5 : 1;
}

bool shadow_read(struct shadow *shadow, struct buf *in)
{
	char kind;
	struct span content;
	size_t len;
	while (greeting_is_over(shadow, in) && shadow->token < TOKENS &&
	    (len = token_length(buf_span(in), &kind, &content)) > 0) {
		take_token(shadow, kind, content);
		buf_consume(in, len);
	}
	return shadow->token >= TOKENS;
}

/* ---- Judgement ---- */

/* What the worker said is of these bytes, and of no others. */
static bool phash_is_right(const struct shadow_seen *seen, const struct digest *bytes)
{
	uint8_t phash[PHASH_BYTES];
	char hex[sizeof(seen->phash)];
	if (seen->phash[0] == 0)
		return true;
	sim_worker_phash(bytes, phash);
	phash_format(phash, hex);
	return memcmp(hex, seen->phash, sizeof(hex)) == 0;
}

static bool value_is_seen(
    struct shadow *shadow, const struct shadow_value *value, const struct shadow_seen *seen)
{
	struct buf bytes;
	if (value->kind != seen->kind)
		return false;
	if (value->kind == SHADOW_ABSENT)
		return true;
	if (value->kind == SHADOW_IMAGE && value->title != seen->title)
		return false;
	buf_init(&bytes, shadow->memory);
	for (uint32_t i = 0; i < value->parts; i++)
		string_piece(i == 0 ? value->content : append_content(shadow), &bytes);
	if (value->kind == SHADOW_IMAGE)
		image_bytes(value->content, &bytes);
	struct digest digest = digest_of(buf_span(&bytes));
	buf_fini(&bytes);
	return digest_equal(&digest, &seen->bytes) && phash_is_right(seen, &digest);
}

static bool state_is_seen(struct shadow *shadow, const struct shadow_state *state)
{
	for (uint32_t key = 0; key < SHADOW_KEYS; key++)
		if (!value_is_seen(shadow, &state->keys[key], &shadow->seen[key]))
			return false;
	return true;
}

/* The newest first. */
static const struct shadow_value *past_value(const struct shadow *shadow, uint32_t back)
{
	return &shadow->past[(shadow->past_count - 1 - back) % SHADOW_PAST];
}

/* A disk that lies: each key must be something that some key of this client once was. */
static bool judge_liar(struct shadow *shadow)
{
	/* Each command under way may have been refused: what any of them left is remembered. */
	for (uint32_t mask = 0; mask < 1U << shadow->pending; mask++) {
		struct shadow_state state = shadow->known;
		for (uint32_t i = 0; i < shadow->pending; i++)
			if (mask >> i & 1)
				op_apply(shadow, &shadow->ops[i], &state);
	}
	for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
		struct shadow_seen *seen = &shadow->seen[key];
		struct shadow_value *value = &shadow->known.keys[key];
		uint32_t kept = shadow->past_count < SHADOW_PAST ? shadow->past_count : SHADOW_PAST,
		         at = 0;
		if (seen->kind == SHADOW_ABSENT || seen->kind == SHADOW_CORRUPT) {
			*value = (struct shadow_value){.kind = seen->kind};
			continue;
		}
		while (at < kept && !value_is_seen(shadow, past_value(shadow, at), seen))
			at++;
		if (at == kept) {
			snprintf(shadow->why, sizeof(shadow->why),
			    "key %u holds what was never written", key);
			return false;
		}
		*value = *past_value(shadow, at);
	}
	shadow->pending = shadow->uncertain = 0;
	return true;
}

/* Which of the commands under way took effect: the first j on an honest disk; any on one
 * that fails, because each may have been refused. */
static bool some_are_seen(struct shadow *shadow, const struct shadow_state *base, uint32_t mask)
{
	struct shadow_state state = *base;
	for (uint32_t i = 0; i < shadow->pending; i++)
		if (mask >> i & 1)
			op_apply(shadow, &shadow->ops[i], &state);
	if (!state_is_seen(shadow, &state))
		return false;
	shadow->known = state;
	shadow->pending = shadow->uncertain = 0;
	return true;
}

/* What was answered without a promise is there up to some point, with nothing behind it. A command
 * that was answered with -READONLY came before some of it, and may be there. */
static bool loose_is_seen(struct shadow *shadow)
{
	uint32_t masks = 1U << shadow->uncertain;
	for (uint32_t count = shadow->loose_count; count > 0; count--)
		for (uint32_t mask = 0; mask < masks; mask++)
			if (some_are_seen(shadow,
			        count == 1 ? &shadow->sure : &shadow->loose[count - 2].state, mask))
				return true;
	return false;
}

void shadow_note_moment(struct shadow *shadow, uint64_t lsn)
{
	ASSERT(shadow->pending == 0);
	struct shadow_moment *moment = &shadow->moments[shadow->moment_count++ % SHADOW_MOMENTS];
	*moment = (struct shadow_moment){lsn, shadow->known};
}

/* Reading the past shows what was known then: images, and nothing where there was none. */
static bool judge_moment(struct shadow *shadow, uint32_t at, enum shadow_disk disk)
{
	const struct shadow_moment *moment = &shadow->moments[at];
	bool has_image = false;
	for (uint32_t key = 0; key < SHADOW_KEYS; key++)
		has_image |= moment->state.keys[key].kind == SHADOW_IMAGE;
	if (moment->lsn == 0)
		return true;
	/* Before the first image of all, nothing says yet that history is kept; and a disk on which
	 * no segment can be made counts as full, for which history is given up. */
	if (shadow->forgotten[at] && (!has_image || disk == SHADOW_FAILS))
		return true;
	for (uint32_t key = 0; key < SHADOW_KEYS; key++) {
		struct shadow_value value = moment->state.keys[key];
		value.title = 0;
		if (value.kind != SHADOW_IMAGE)
			value = (struct shadow_value){0};
		if (shadow->forgotten[at] ||
		    !value_is_seen(shadow, &value, &shadow->seen_then[at][key])) {
			snprintf(shadow->why, sizeof(shadow->why), "key %u at LSN %llu is wrong: kind %u, then %u%s",
			    key, (unsigned long long)moment->lsn,
			    shadow->seen_then[at][key].kind, value.kind, shadow->forgotten[at] ? ": forgotten" : "");
			return false;
		}
	}
	return true;
}

static bool judge_state(struct shadow *shadow, enum shadow_disk disk);

bool shadow_judge(struct shadow *shadow, enum shadow_disk disk)
{
	bool good = disk == SHADOW_LIES ? judge_liar(shadow) : judge_state(shadow, disk);
	shadow->sure = shadow->known;         /* it was read from the disk */
	shadow->loose_count = shadow->wait_replies = 0;
	return good;
}

static bool judge_state(struct shadow *shadow, enum shadow_disk disk)
{
	for (uint32_t at = 0; at < SHADOW_MOMENTS; at++)
		if (!judge_moment(shadow, at, disk))
			return false;
	for (uint32_t mask = 0; mask < 1U << shadow->pending; mask++) {
		bool prefix = (mask & (mask + 1)) == 0;
		if ((prefix || disk == SHADOW_FAILS) && some_are_seen(shadow, &shadow->known, mask))
			return true;
	}
	if (loose_is_seen(shadow))
		return true;
	int len = snprintf(shadow->why, sizeof(shadow->why),
	    "%u commands were under way, %u not yet durable; kinds known/seen:", shadow->pending,
	    shadow->loose_count);
	for (uint32_t key = 0; key < SHADOW_KEYS; key++)
		len += snprintf(shadow->why + len, sizeof(shadow->why) - (size_t)len, " %u/%u%s",
		    shadow->known.keys[key].kind, shadow->seen[key].kind,
		    value_is_seen(shadow, &shadow->known.keys[key], &shadow->seen[key]) ? "" : "!");
	for (uint32_t i = 0; i < shadow->pending && (size_t)len < sizeof(shadow->why); i++)
		len += snprintf(shadow->why + len, sizeof(shadow->why) - (size_t)len,
		    "; verb %u key %u, %u", shadow->ops[i].verb, shadow->ops[i].key,
		    shadow->ops[i].other);
	return false;
}
