/* tests/sim/liar.c: see liar.h. A way begins with lines: the follower's commands, and the leader's answers
 * up to +SYNC; behind that come frames. */
#include "tests/sim/liar.h"

#include "base/arith.h"
#include "base/endian.h"
#include "repl/frame.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 12 };

/* Of sim_way.state. */
enum { PHASE, NUMBER_IN, NUMBER_OUT };
enum phase { IN_LINES, IN_FRAMES };

static bool chance(struct liar *liar, uint64_t one_in)
{
	return random_below(&liar->random, one_in) == 0;
}

static void flip(struct liar *liar, uint8_t *at, size_t len)
{
	at[random_below(&liar->random, len)] ^= (uint8_t)(1U << random_below(&liar->random, 8));
}

/* ---- What comes in one piece: a line, a command, a frame ---- */

/* Bytes of the line at the start; 0: it is not whole. */
static size_t line_bytes(struct span bytes)
{
	const uint8_t *end = bytes.len == 0 ? NULL : memchr(bytes.ptr, '\n', bytes.len);
	return end == NULL ? 0 : (size_t)(end - bytes.ptr) + 1;
}

/* A command as follower.c writes them. 0: it is not whole. */
static size_t command_take(struct span bytes, struct span *words, uint32_t *count)
{
	size_t at = line_bytes(bytes);
	if (at == 0)
		return 0;
	*count = bytes.ptr[0] == '*' ? (uint32_t)strtoul((const char *)bytes.ptr + 1, NULL, 10) : 0;
	ASSERT(*count > 0 && *count <= WORDS_MAX);
	for (uint32_t i = 0; i < *count; i++) {
		struct span rest = span_slice(bytes, at, bytes.len);
		size_t line = line_bytes(rest);
		if (line == 0)
			return 0;
		size_t len = strtoul((const char *)rest.ptr + 1, NULL, 10);
		if (rest.len - line < len + 2)
			return 0;
		words[i] = span_slice(rest, line, len);
		at += line + len + 2;
	}
	return at;
}

static size_t frame_bytes(struct span bytes)
{
	if (bytes.len < FRAME_HEADER)
		return 0;
	size_t len = FRAME_HEADER + (size_t)load_le32(bytes.ptr + 8);
	return bytes.len < len ? 0 : len;
}

static size_t piece_bytes(const struct sim_way *way, struct span bytes)
{
	struct span words[WORDS_MAX];
	uint32_t count;
	if (way->forth)
		return command_take(bytes, words, &count);
	return way->state[PHASE] == IN_FRAMES ? frame_bytes(bytes) : line_bytes(bytes);
}

/* ---- Noise ---- */

static void make_noise(struct liar *liar, struct span piece, struct buf *out)
{
	size_t at = out->len;
	buf_append(out, piece);
	switch (random_below(&liar->random, 4)) {
	case 0:
		flip(liar, out->ptr + at, piece.len);
		return;
	case 1:                               /* lost */
		out->len = at;
		return;
	case 2:
		buf_append(out, piece);
		return;
	default: {                            /* some of it is cut out */
		size_t from = random_below(&liar->random, piece.len);
		size_t len = 1 + random_below(&liar->random, piece.len - from);
		memmove(out->ptr + at + from, out->ptr + at + from + len, piece.len - from - len);
		out->len -= len;
		return;
	}
	}
}

/* ---- Lies: frames ---- */

static uint64_t near(struct liar *liar, uint64_t number)
{
	switch (random_below(&liar->random, 5)) {
	case 0:
		return number + 1 + random_below(&liar->random, 50);
	case 1:
		return number - min_u64(number, 1 + random_below(&liar->random, 50));
	case 2:
		return random_next(&liar->random) >> random_below(&liar->random, 64);
	case 3:
		return 0;
	default:
		return number ^ 1ULL << random_below(&liar->random, 64);
	}
}

static void lie_in_u64(struct liar *liar, uint8_t *at)
{
	store_le64(at, near(liar, load_le64(at)));
}

/* The numbers that are part of a record, or its type and flags. */
static void lie_in_record(struct liar *liar, uint8_t *head)
{
	static const uint8_t numbers[] = {8, 16, 24, 32};
	switch (random_below(&liar->random, 5)) {
	case 0:
		head[0] = (uint8_t)(1 + random_below(&liar->random, RECORD_TYPE_COUNT - 1));
		return;
	case 1:
		head[1] ^= RECORD_CONTINUES;
		return;
	case 2:
		head[2] = (uint8_t)random_below(&liar->random, 256);
		return;
	case 3:
		store_le32(head + 4, (uint32_t)near(liar, load_le32(head + 4)));
		return;
	default:
		lie_in_u64(liar, head + numbers[random_below(&liar->random, ARRAY_COUNT(numbers))]);
	}
}

/* One of its records, or any byte of them. */
static void lie_in_records(struct liar *liar, struct buf *payload, size_t from)
{
	size_t at = from;
	while (payload->len - at > FRAME_RECORD) {
		uint8_t *head = payload->ptr + at;
		size_t len = (size_t)FRAME_RECORD + load_le32(head + 40) + load_le32(head + 44) +
		    load_le32(head + 48);
		if (chance(liar, 4) || len >= payload->len - at) {
			if (chance(liar, 4) && len > FRAME_RECORD && len <= payload->len - at)
				flip(liar, head + FRAME_RECORD, len - FRAME_RECORD);
			else
				lie_in_record(liar, head);
			return;
		}
		at += len;
	}
}

static void lie_in_payload(struct liar *liar, uint8_t type, struct buf *payload)
{
	if (chance(liar, 8)) {
		payload->len = 1 + random_below(&liar->random, payload->len);
		return;
	}
	if (chance(liar, 8)) {
		flip(liar, payload->ptr, payload->len);
		return;
	}
	if (type == FRAME_RECORDS)
		lie_in_records(liar, payload, 0);
	else if (type == FRAME_BODY && chance(liar, 2))
		lie_in_records(liar, payload, 16);
	else if (payload->len >= 16)
		lie_in_u64(liar, payload->ptr + 8 * random_below(&liar->random, 2));
	else if (payload->len >= 8)
		lie_in_u64(liar, payload->ptr);
}

static void lie_in_frame(struct liar *liar, struct sim_way *way, const struct frame *frame, struct buf *out)
{
	struct buf inflated, payload;
	struct span whole;
	uint32_t number = (uint32_t)way->state[NUMBER_OUT];
	uint8_t type = frame->type;
	size_t at = out->len;
	buf_init(&inflated, out->memory);
	buf_init(&payload, out->memory);
	enum err err = frame_inflate(frame, &inflated, &whole);
	ASSERT(err == OK);
	buf_append(&payload, whole);
	if (chance(liar, 10))
		type = (uint8_t)(1 + random_below(&liar->random, FRAME_TYPE_COUNT - 1));
	else
		lie_in_payload(liar, type, &payload);
	for (int times = chance(liar, 10) ? 2 : 1; times > 0; times--)
		frame_write(out, (enum frame_type)type, buf_span(&payload), chance(liar, 2));
	frame_seal(out, at, &number);
	way->state[NUMBER_OUT] = number;
	buf_fini(&inflated);
	buf_fini(&payload);
}

static void pass_frame(struct liar *liar, struct sim_way *way, struct span piece, bool lies, struct buf *out)
{
	struct frame frame;
	uint32_t number = (uint32_t)way->state[NUMBER_OUT];
	enum err err = frame_parse(piece, (uint32_t)way->state[NUMBER_IN]++, &frame);
	ASSERT(err == OK);
	if (lies && chance(liar, 2 * liar->one_in)) {
		liar->lied++;                 /* it never comes */
		return;
	}
	if (lies && chance(liar, liar->one_in)) {
		liar->lied++;
		lie_in_frame(liar, way, &frame, out);
		return;
	}
	size_t at = out->len;
	buf_append(out, piece);
	uint32_t before = (uint32_t)way->state[NUMBER_IN] - 1;
	frame_seal(out, at, &before);         /* sealed twice is not sealed */
	frame_seal(out, at, &number);
	way->state[NUMBER_OUT] = number;
}

/* ---- Lies: commands ---- */

static void put_command(const struct span *words, uint32_t count, uint32_t number, struct buf *out)
{
	char check[FRAME_CHECK];
	frame_check_words(words, count, number, check);
	buf_printf(out, "*%u\r\n", count + 1);
	for (uint32_t i = 0; i < count; i++) {
		buf_printf(out, "$%zu\r\n", words[i].len);
		buf_append(out, words[i]);
		buf_append_text(out, "\r\n");
	}
	buf_printf(out, "$%zu\r\n%s\r\n", strlen(check), check);
}

/* It has all that there will ever be, or any other number. */
static void lie_in_words(struct liar *liar, struct span *words, uint32_t count, char text[WORDS_MAX][24])
{
	bool acks = span_is(words[1], "ACK");
	for (uint32_t i = 2; i < count; i++) {
		if (words[i].len == 0 || words[i].len > 20 || (!acks && chance(liar, 2)))
			continue;
		uint64_t number = strtoull((const char *)words[i].ptr, NULL, 10);
		number = acks && !chance(liar, 4) ? number + 1 + random_below(&liar->random, 5)
		                                  : near(liar, number);
		words[i] = frame_word(text[i], number);
	}
}

static void say_nonsense(struct liar *liar, uint32_t *number, struct buf *out)
{
	static const char *const verbs[] = {"FETCH", "LIST", "COMPARE", "RENEW", "RENEWED", "FETCHED"};
	char text[5][24];
	uint8_t bytes[40];
	struct span words[7] = {SPAN_LIT("REPLCONF"),
	    span_text(verbs[random_below(&liar->random, ARRAY_COUNT(verbs))])};
	uint32_t count = 3 + (uint32_t)random_below(&liar->random, 5);
	for (uint32_t i = 2; i < count; i++)
		words[i] = frame_word(text[i - 2], random_below(&liar->random, 40));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(chance(liar, 2) ? 0 : random_below(&liar->random, 256));
	if (chance(liar, 2))
		words[count - 1] = span_of(bytes, random_below(&liar->random, sizeof(bytes)));
	put_command(words, count, (*number)++, out);
}

static void pass_command(
    struct liar *liar, struct sim_way *way, struct span piece, bool lies, struct buf *out)
{
	char text[WORDS_MAX][24];
	struct span words[WORDS_MAX];
	uint32_t count, number = (uint32_t)way->state[NUMBER_OUT];
	size_t len = command_take(piece, words, &count);
	ASSERT(len == piece.len);
	bool sync = span_is(words[0], "IMG.SYNC");
	if (sync)
		way->state[PHASE] = IN_FRAMES;
	if (way->state[PHASE] == IN_LINES) {
		buf_append(out, piece);
		return;
	}
	if (lies && !sync && chance(liar, 4 * liar->one_in)) {
		liar->lied++;
		say_nonsense(liar, &number, out);
	}
	if (lies && !sync && chance(liar, liar->one_in)) {
		liar->lied++;
		lie_in_words(liar, words, count - 1, text);
	}
	put_command(words, count - 1, sync ? 0 : number, out);
	way->state[NUMBER_OUT] = sync ? 1 : number + 1;
}

/* ---- All of it ---- */

static void pass(struct liar *liar, struct sim_way *way, struct span piece, struct buf *out)
{
	bool lies = !liar->resting && liar->lies(liar->ctx, way);
	bool in_frames = way->state[PHASE] == IN_FRAMES;
	liar->passed++;
	if (!way->forth && !in_frames && piece.len > 6 && memcmp(piece.ptr, "+SYNC ", 6) == 0)
		way->state[PHASE] = IN_FRAMES;
	if (way->forth && liar->kind == LIAR_NOISE && memmem(piece.ptr, piece.len, "IMG.SYNC", 8) != NULL)
		way->state[PHASE] = IN_FRAMES;
	if (lies && liar->kind == LIAR_NOISE && chance(liar, liar->one_in)) {
		liar->lied++;
		make_noise(liar, piece, out);
	} else if (liar->kind == LIAR_LEADS && !way->forth && in_frames) {
		pass_frame(liar, way, piece, lies, out);
	} else if (liar->kind == LIAR_FOLLOWS && way->forth) {
		pass_command(liar, way, piece, lies, out);
	} else {
		buf_append(out, piece);
	}
}

void liar_relay(void *ctx, struct sim_way *way, struct buf *held, struct buf *out)
{
	struct liar *liar = ctx;
	size_t len;
	while ((len = piece_bytes(way, buf_span(held))) > 0) {
		struct span piece = span_slice(buf_span(held), 0, len);
		size_t next = piece_bytes(way, span_slice(buf_span(held), len, held->len));
		bool swaps = liar->kind == LIAR_NOISE && next > 0 && !liar->resting &&
		    liar->lies(liar->ctx, way) && chance(liar, liar->one_in) &&
		    way->state[PHASE] == IN_FRAMES;
		if (swaps) {
			liar->lied++;
			buf_append(out, span_slice(buf_span(held), len, next));
			buf_append(out, piece);
			len += next;
		} else {
			pass(liar, way, piece, out);
		}
		buf_consume(held, len);
	}
}
