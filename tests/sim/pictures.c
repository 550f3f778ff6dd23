/* tests/sim/pictures.c: see pictures.h. */
#include "tests/sim/pictures.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

static void put_word(struct buf *out, struct span word)
{
	buf_printf(out, "$%zu\r\n", word.len);
	buf_append(out, word);
	buf_append(out, SPAN_LIT("\r\n"));
}

static void put_words(struct buf *out, uint32_t count, const char *const *words)
{
	for (uint32_t i = 0; i < count; i++)
		put_word(out, span_text(words[i]));
}

/* A BMP of 24 bits. */
static void put_picture(struct buf *out, struct random *random, uint64_t number)
{
	uint64_t roll = random_below(random, 60);
	uint32_t side = roll == 0 ? 700 : roll < 3 ? 330 : roll < 12 ? 100 : 12;
	uint32_t pixels = side * side * 3;
	uint8_t head[54] = {'B', 'M'};
	uint32_t fields[][2] = {
	    {2, 54 + pixels}, {10, 54}, {14, 40}, {18, side}, {22, side}, {34, pixels}};
	struct random bytes;
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
		memcpy(head + fields[i][0], &fields[i][1], 4);
	head[26] = 1;
	head[28] = 24;
	buf_printf(out, "$%u\r\n", 54 + pixels);
	buf_append(out, span_of(head, sizeof(head)));
	random_init(&bytes, number % 8 == 0 ? 8 : number);    /* some are the same as others */
	for (uint32_t at = 0; at < pixels; at += 8) {
		uint64_t word = random_next(&bytes);
		buf_append(out, span_of((uint8_t *)&word, pixels - at < 8 ? pixels - at : 8));
	}
	buf_append(out, SPAN_LIT("\r\n"));
}

void picture_command(struct buf *out, struct random *random, uint64_t number)
{
	char key[32], other[32], title[32];
	uint64_t roll = random_below(random, 12);
	snprintf(key, sizeof(key), "i%u", (unsigned)random_below(random, PICTURES));
	snprintf(other, sizeof(other), "i%u", (unsigned)random_below(random, PICTURES));
	snprintf(title, sizeof(title), "title %u", (unsigned)(number % 100));
	if (roll < 5) {
		const char *const words[] = {"IMG.PUT", key};
		buf_append_text(out, "*3\r\n");
		put_words(out, 2, words);
		put_picture(out, random, number);
	} else if (roll < 7) {
		const char *const words[] = {"IMG.EDIT", key, "TITLE", title};
		buf_append_text(out, "*4\r\n");
		put_words(out, 4, words);
	} else if (roll < 9) {
		const char *const words[] = {"COPY", key, other, "REPLACE"};
		buf_append_text(out, "*4\r\n");
		put_words(out, 4, words);
	} else if (roll < 11) {
		const char *const words[] = {"EXPIRE", key, "100000"};
		buf_append_text(out, "*3\r\n");
		put_words(out, 3, words);
	} else {
		const char *const words[] = {"DEL", key};
		buf_append_text(out, "*2\r\n");
		put_words(out, 2, words);
	}
}
