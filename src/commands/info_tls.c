/* commands/info_tls.c: INFO tls, and the listeners of INFO server. */
#include "commands/info.h"

#include "io/tls.h"

typedef unsigned long long ull;

/* One line as Redis writes it: "listener0:name=tcp,bind=127.0.0.1,bind=-::1,port=6379". */
static void listener_line(
    const struct settings *settings, unsigned *number, const char *name, int64_t port, struct buf *out)
{
	if (port == 0)
		return;
	buf_printf(out, "listener%u:name=%s", (*number)++, name);
	for (const char *at = settings->bind; *at != 0;) {
		size_t len = strcspn(at, " ");
		if (len > 0)
			buf_printf(out, ",bind=%.*s", (int)len, at);
		at += len + (at[len] != 0);
	}
	buf_printf(out, ",port=%lld\r\n", (long long)port);
}

void info_listeners(struct engine *engine, struct buf *out)
{
	unsigned number = 0;
	const struct settings *settings = engine->settings;
	int64_t port = settings->port;
	if (port == 0 && settings->tls_port == 0 && settings->unixsocket[0] == 0)
		port = engine->events->port(engine->events_ctx);
	listener_line(settings, &number, "tcp", port, out);
	if (settings->unixsocket[0] != 0)
		buf_printf(out, "listener%u:name=unix,bind=%s\r\n", number++, settings->unixsocket);
	listener_line(settings, &number, "tls", settings->tls_port, out);
}

void info_tls(struct engine *engine, struct buf *out)
{
	struct tls_stats stats = {0};
	if (engine->tls != NULL)
		tls_get_stats(engine->tls, &stats);
	buf_printf(out,
	    "tls_port:%lld\r\ntls_connections:%u\r\ntls_handshakes_accepted:%llu\r\n"
	    "tls_handshakes_connected:%llu\r\ntls_handshakes_resumed:%llu\r\n"
	    "tls_handshakes_failed:%llu\r\ntls_streams_cut:%llu\r\ntls_certificate_loads:%llu\r\n"
	    "tls_certificate_expires:%lld\r\n",
	    (long long)engine->settings->tls_port, stats.open, (ull)stats.accepted,
	    (ull)stats.connected, (ull)stats.resumed, (ull)stats.failed, (ull)stats.cut,
	    (ull)stats.loads, (long long)stats.expires_s);
}
