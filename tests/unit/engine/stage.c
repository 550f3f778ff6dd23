/* tests/unit/engine/stage.c: see stage.h. */
#include "tests/unit/engine/stage.h"

#include "tests/sim/settle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { STAGE_PORT = 7001, SEGMENT_BYTES = 4 << 20 };

static void stage_log(void *ctx, enum log_level level, struct span text)
{
	struct stage *stage = ctx;
	UNUSED(level);
	if (getenv("STAGE_LOG") != NULL)
		fprintf(stderr, "%.*s\n", (int)text.len, (const char *)text.ptr);
	buf_append(&stage->said, text);
	buf_append_text(&stage->said, "\n");
}

struct engine *stage_engine(const struct stage *stage)
{
	return stage->server->engine;
}

void stage_begin(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	buf_init(&stage->said, &stage->memory);
	stage->log = (struct log){.level = LOG_VERBOSE, .sink = stage_log, .ctx = stage};
	settings_init(&stage->settings);
	settle(&stage->settings, "dir", "/hot");
	settle(&stage->settings, "bind", "127.0.0.1");
	settle(&stage->settings, "port", "7001");
	settle(&stage->settings, "protected-mode", "no");
	settle(&stage->settings, "segment-bytes", "4mb");
	settle(&stage->settings, "spare-segments", "2");
	settle(&stage->settings, "body-memory", "24mb");
	settle(&stage->settings, "hot-memory", "0");
	settle(&stage->settings, "worker-dir", "");
	settle(&stage->settings, "analysis", "no");
	settle(&stage->settings, "repl-timeout", "3600");
	stage->disk = sim_disk_new(7);
	stage->io = sim_new(stage->disk, 11, &stage->log);
	const struct server_options options = {
	    .settings = &stage->settings, .log = &stage->log, .config_file = "", .executable = "stage"};
	cr_assert_eq(server_new(stage->io, &options, &stage->server), OK);
	while (stage_engine(stage)->loading)
		cr_assert(server_pass(stage->server));
	stage->client = sim_connect(stage->io, "127.0.0.1", STAGE_PORT);
	cr_assert_not_null(stage->client);
}

void stage_end(struct stage *stage)
{
	sim_peer_free(stage->client);
	server_stop(stage->server, 0);
	while (server_pass(stage->server)) {
	}
	server_free(stage->server);
	io_free(stage->io);
	sim_disk_free(stage->disk);
	buf_fini(&stage->said);
	cr_assert_eq(stage->memory.bytes, 0);
}

void stage_run(struct stage *stage, uint64_t us)
{
	for (uint64_t until = io_now_us(stage->io) + us; io_now_us(stage->io) < until;)
		cr_assert(server_pass(stage->server));
}

static void put_words(struct buf *out, const struct span *words, uint32_t count, const char *check)
{
	buf_printf(out, "*%u\r\n", count + (check != NULL));
	for (uint32_t i = 0; i < count; i++) {
		buf_printf(out, "$%zu\r\n", words[i].len);
		buf_append(out, words[i]);
		buf_append_text(out, "\r\n");
	}
	if (check != NULL)
		buf_printf(out, "$%zu\r\n%s\r\n", strlen(check), check);
}

void stage_command(struct stage *stage, const struct span *words, uint32_t count)
{
	struct buf out;
	buf_init(&out, &stage->memory);
	put_words(&out, words, count, NULL);
	sim_peer_send(stage->client, buf_span(&out));
	buf_fini(&out);
	stage_run(stage, 100000);
	buf_clear(sim_peer_received(stage->client));
}

void stage_put_image(struct stage *stage, const char *key, size_t bytes)
{
	struct buf picture;
	buf_init(&picture, &stage->memory);
	buf_append_text(&picture, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><!--");
	for (unsigned i = 0; picture.len < bytes; i++)
		buf_printf(&picture, " %s %u", key, i * 2654435761U);
	buf_append_text(&picture, "--></svg>");
	const struct span words[] = {SPAN_LIT("IMG.PUT"), span_text(key), buf_span(&picture)};
	stage_command(stage, words, ARRAY_COUNT(words));
	buf_fini(&picture);
	stage_run(stage, 2000000);
}

bool stage_has_said(const struct stage *stage, const char *text)
{
	return memmem(stage->said.ptr, stage->said.len, text, strlen(text)) != NULL;
}

/* ---- Followers ---- */

static void say(struct actor *actor, const struct span *words, uint32_t count, uint32_t number)
{
	char check[FRAME_CHECK];
	struct buf out;
	buf_init(&out, &actor->stage->memory);
	frame_check_words(words, count, number, check);
	put_words(&out, words, count, check);
	sim_peer_send(actor->peer, buf_span(&out));
	buf_fini(&out);
}

void actor_enter(struct actor *actor, struct stage *stage)
{
	char segment[24];
	const struct span words[] = {SPAN_LIT("IMG.SYNC"), SPAN_LIT("?"), SPAN_LIT("0:0:00000000"),
	    SPAN_LIT("0"), frame_word(segment, SEGMENT_BYTES), SPAN_LIT("0"), SPAN_LIT("0")};
	*actor = (struct actor){.stage = stage, .commands = 1};
	buf_init(&actor->heard, &stage->memory);
	actor->peer = sim_connect(stage->io, "127.0.0.1", STAGE_PORT);
	cr_assert_not_null(actor->peer);
	say(actor, words, ARRAY_COUNT(words), 0);
	stage_run(stage, 500000);
	struct buf *in = sim_peer_received(actor->peer);
	const uint8_t *end = in->len == 0 ? NULL : memchr(in->ptr, '\n', in->len);
	cr_assert(end != NULL && memcmp(in->ptr, "+SYNC ", 6) == 0, "%.*s", (int)in->len, (char *)in->ptr);
	buf_consume(in, (size_t)(end + 1 - in->ptr));
}

void actor_leave(struct actor *actor)
{
	sim_peer_free(actor->peer);
	buf_fini(&actor->heard);
}

void actor_say(struct actor *actor, const struct span *words, uint32_t count)
{
	say(actor, words, count, actor->commands++);
}

static bool take_frame(struct actor *actor, enum frame_type type)
{
	struct buf *in = sim_peer_received(actor->peer);
	struct frame frame;
	struct span payload;
	while (frame_parse(buf_span(in), actor->frames, &frame) == OK) {
		bool is_it = frame.type == type;
		buf_clear(&actor->heard);
		cr_assert_eq(frame_inflate(&frame, &actor->heard, &payload), OK);
		if (is_it && actor->heard.len == 0)
			buf_append(&actor->heard, payload);
		actor->frames++;
		buf_consume(in, frame.frame_bytes);
		if (is_it)
			return true;
	}
	return false;
}

bool actor_hears(struct actor *actor, enum frame_type type, uint64_t us)
{
	struct stage *stage = actor->stage;
	for (uint64_t until = io_now_us(stage->io) + us; io_now_us(stage->io) < until;) {
		if (take_frame(actor, type))
			return true;
		cr_assert(server_pass(stage->server));
	}
	return take_frame(actor, type);
}
