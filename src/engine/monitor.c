/* engine/monitor.c: MONITOR: every command, as a line of text, to those who asked for it. What is
 * said of users and secrets is left out (CMD_ADMIN, AUTH, HELLO), long arguments are cut. */
#include "engine/internal.h"
#include "engine/databases.h"

enum { ARG_SHOWN = 1024 };

/* As redis-cli shows bytes: quoted, with escapes. */
static void append_quoted(struct buf *out, struct span text)
{
	static const char plain[] = "\n\r\t\a\b", letters[] = "nrtab";
	struct span shown = span_slice(text, 0, text.len < ARG_SHOWN ? text.len : ARG_SHOWN);
	buf_append_u8(out, '"');
	for (size_t i = 0; i < shown.len; i++) {
		uint8_t byte = shown.ptr[i];
		const char *special = byte == 0 ? NULL : strchr(plain, byte);
		if (byte == '"' || byte == '\\')
			buf_printf(out, "\\%c", byte);
		else if (special != NULL)
			buf_printf(out, "\\%c", letters[special - plain]);
		else if (byte < 0x20 || byte > 0x7e)
			buf_printf(out, "\\x%02x", byte);
		else
			buf_append_u8(out, byte);
	}
	if (shown.len < text.len)
		buf_printf(out, "... (%zu more bytes)", text.len - shown.len);
	buf_append_u8(out, '"');
}

void monitors_tell(const struct call *call)
{
	struct engine *engine = call->engine;
	const struct session *from = call->session;
	uint64_t now_ms = (uint64_t)io_wall_ms(engine->io);
	struct buf line;
	buf_init(&line, &engine->memory.replies);
	buf_printf(&line, "+%llu.%03llu000 [%u %s]", (unsigned long long)(now_ms / 1000),
	    (unsigned long long)(now_ms % 1000), database_number(engine, from->db),
	    from->unix_socket ? "unix" : from->address);
	for (uint32_t i = 0; i < call->argc; i++) {
		buf_append_u8(&line, ' ');
		append_quoted(&line, call->argv[i]);
	}
	buf_append(&line, SPAN_LIT("\r\n"));
	struct list *head = &engine->monitors;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct session *session = LIST_OF(at, struct session, monitor_link);
		if (session->overflowed || session->closing || session == from)
			continue;
		buf_append(&session_push(session)->bytes, buf_span(&line));
		session_pushed(session, 0);
	}
	buf_fini(&line);
}
