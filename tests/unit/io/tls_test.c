/* tests/unit/io/tls_test.c: what TLS adds: certificates, hostile peers, cut streams, bounds. */
#include "certs.h"

#include "base/random.h"
#include "io/tls_impl.h"

#include <stdio.h>

#define SIM(name) Test(tls, name, .timeout = 60) { rig_run_secure(IO_SIM, name); }

static void fds_make(struct rig *rig, int fds[2])
{
	cr_assert_eq(io_socket_pair(rig->io, fds), OK);
}

static void both_open(struct rig *rig, struct end *server, struct end *client)
{
	int fds[2];
	fds_make(rig, fds);
	end_open(rig, server, fds[0]);
	end_open_connecting(rig, client, fds[1]);
}

static void both_fini(struct end *a, struct end *b)
{
	end_fini(a);
	end_fini(b);
}

static void exchange(struct end *a, struct end *b)
{
	size_t from_a = b->received.len, from_b = a->received.len;
	end_send(a, SPAN_LIT("from a"));
	end_send(b, SPAN_LIT("from b"));
	end_until_received(b, from_a + 6);
	end_until_received(a, from_b + 6);
	rig_until(a->rig, &a->sent);
	rig_until(b->rig, &b->sent);
}

/* Both ends learn that it came to nothing. */
static void expect_refusal(struct rig *rig, enum err of_server, enum err of_client)
{
	struct end server, client;
	struct tls_stats before, after;
	tls_get_stats(rig->tls, &before);
	both_open(rig, &server, &client);
	end_send(&client, SPAN_LIT("FLUSHALL\r\n"));
	end_send(&server, SPAN_LIT("a secret"));
	rig_until(rig, &server.broken);
	end_close(&server);               /* as every user does; what is left to say still leaves */
	rig_until(rig, &client.broken);
	cr_assert_eq(server.broken_err, of_server, "%s", err_name(server.broken_err));
	cr_assert_eq(client.broken_err, of_client, "%s", err_name(client.broken_err));
	cr_assert_eq(server.received.len, 0);
	cr_assert_eq(client.received.len, 0);
	tls_get_stats(rig->tls, &after);
	cr_assert_gt(after.failed, before.failed);
	both_fini(&server, &client);
}

static void configure(struct rig *rig, const struct tls_options *options)
{
	char why[TLS_WHY_MAX];
	cr_assert_eq(tls_configure(rig->tls, options, why), OK, "%s", why);
}

static void expect_no_change(struct rig *rig, const struct tls_options *options, const char *word)
{
	char why[TLS_WHY_MAX];
	struct tls_stats before, after;
	tls_get_stats(rig->tls, &before);
	cr_assert_eq(tls_configure(rig->tls, options, why), ERR_INVALID);
	cr_assert(strstr(why, word) != NULL, "\"%s\" does not say \"%s\"", why, word);
	tls_get_stats(rig->tls, &after);
	cr_assert_eq(before.loads, after.loads);
	struct end server, client;
	both_open(rig, &server, &client);
	exchange(&server, &client);
	both_fini(&server, &client);
}

/* ---- Certificates ---------------------------------------------------------------------- */

static void client_without_certificate_is_refused(struct rig *rig)
{
	SSL_CTX *accepting = rig->tls->accepting;
	cr_assert(SSL_CTX_up_ref(accepting) == 1);
	struct tls_options options = {.ca_cert_file = rig_path(rig, "ca.crt")};
	configure(rig, &options);
	cr_assert(!tls_can_accept(rig->tls));
	rig->tls->accepting = accepting;
	expect_refusal(rig, ERR_INVALID, ERR_INVALID);
}
SIM(client_without_certificate_is_refused)

static void certificate_of_another_ca_is_refused(struct rig *rig)
{
	struct tls_options options = certs_options(rig);
	certs_make(rig, &(struct cert_wish){.name = "strange"});
	certs_make(rig, &(struct cert_wish){.name = "stranger", .issuer = "strange"});
	char cert[128], key[128];
	snprintf(cert, sizeof(cert), "%s", rig_path(rig, "stranger.crt"));
	snprintf(key, sizeof(key), "%s", rig_path(rig, "stranger.key"));
	options = certs_options(rig);
	options.client_cert_file = cert;
	options.client_key_file = key;
	configure(rig, &options);
	expect_refusal(rig, ERR_PERMISSION, ERR_INVALID);
}
SIM(certificate_of_another_ca_is_refused)

static void certificate_for_another_host_is_refused(struct rig *rig)
{
	certs_make(rig, &(struct cert_wish){.name = "server", .issuer = "ca", .san = "DNS:elsewhere"});
	struct tls_options options = certs_options(rig);
	configure(rig, &options);
	expect_refusal(rig, ERR_INVALID, ERR_PERMISSION);
}
SIM(certificate_for_another_host_is_refused)

static void certificate_that_is_over_is_refused(struct rig *rig)
{
	certs_make(rig,
	    &(struct cert_wish){.name = "server", .issuer = "ca", .san = "DNS:localhost", .days = -1});
	struct tls_options options = certs_options(rig);
	configure(rig, &options);
	expect_refusal(rig, ERR_INVALID, ERR_PERMISSION);
}
SIM(certificate_that_is_over_is_refused)

static void expiry_is_known(struct rig *rig)
{
	struct tls_stats stats;
	certs_make(rig, &(struct cert_wish){.name = "server", .issuer = "ca", .days = 10});
	struct tls_options options = certs_options(rig);
	configure(rig, &options);
	tls_get_stats(rig->tls, &stats);
	int64_t left_s = stats.expires_s - (int64_t)time(NULL);
	cr_assert(left_s > 9 * 86400 && left_s <= 10 * 86400, "%lld", (long long)left_s);
}
SIM(expiry_is_known)

static void reload_changes_all_or_nothing(struct rig *rig)
{
	struct tls_options options = certs_options(rig);
	cr_assert_eq(io_save_file(rig->io, rig_path(rig, "bad.crt"), SPAN_LIT("no PEM")), OK);
	certs_make(rig, &(struct cert_wish){.name = "other", .issuer = "ca"});
	options = certs_options(rig);
	options.cert_file = "/nowhere/at/all";
	expect_no_change(rig, &options, "/nowhere/at/all");
	options = certs_options(rig);
	options.cert_file = rig_path(rig, "bad.crt");
	expect_no_change(rig, &options, "bad.crt");
	options = certs_options(rig);
	options.key_file = rig_path(rig, "other.key");
	expect_no_change(rig, &options, "other.key");
	options = certs_options(rig);
	options.ca_cert_file = rig_path(rig, "bad.crt");
	expect_no_change(rig, &options, "bad.crt");
	options = certs_options(rig);
	options.ca_cert_file = NULL;
	expect_no_change(rig, &options, "tls-ca-cert-file");
	options = certs_options(rig);
	options.protocols = "TLSv1.1 TLSv1.2";
	expect_no_change(rig, &options, "TLSv1.1");
	options = certs_options(rig);
	options.ciphersuites = "TLS_NOTHING";
	expect_no_change(rig, &options, "TLS_NOTHING");
	options = certs_options(rig);
	options.dh_params_file = rig_path(rig, "bad.crt");
	expect_no_change(rig, &options, "DH");
}
SIM(reload_changes_all_or_nothing)

static void open_stream_outlives_its_certificate(struct rig *rig)
{
	struct end server, client;
	both_open(rig, &server, &client);
	exchange(&server, &client);
	certs_make(rig, &(struct cert_wish){.name = "ca"});
	certs_make(rig, &(struct cert_wish){.name = "server", .issuer = "ca", .san = "DNS:localhost"});
	struct tls_options options = certs_options(rig);
	configure(rig, &options);
	exchange(&server, &client);
	struct end later, newer;
	both_open(rig, &later, &newer);
	exchange(&later, &newer);
	both_fini(&later, &newer);
	both_fini(&server, &client);
}
SIM(open_stream_outlives_its_certificate)

static void key_with_a_password_needs_it(struct rig *rig)
{
	certs_make(rig, &(struct cert_wish){
	    .name = "locked", .issuer = "ca", .san = "DNS:localhost", .password = "sesame"});
	struct tls_options options = certs_options(rig);
	options.cert_file = rig_path(rig, "locked.crt");
	options.key_file = rig_path(rig, "locked.key");
	expect_no_change(rig, &options, "locked.key");
	options.cert_file = rig_path(rig, "locked.crt");
	options.key_file = rig_path(rig, "locked.key");
	options.ca_cert_file = rig_path(rig, "ca.crt");
	options.key_file_pass = "sesame";
	configure(rig, &options);
	struct end server, client;
	both_open(rig, &server, &client);
	exchange(&server, &client);
	both_fini(&server, &client);
}
SIM(key_with_a_password_needs_it)

static void directory_of_cas_is_read(struct rig *rig)
{
	char dir[128];
	struct buf text;
	struct tls_options options = certs_options(rig);
	snprintf(dir, sizeof(dir), "%s", rig_path(rig, "cas"));
	cr_assert_eq(io_make_directory(rig->io, dir), OK);
	options.ca_cert_file = NULL;
	options.ca_cert_dir = dir;
	configure(rig, &options);
	expect_refusal(rig, ERR_INVALID, ERR_PERMISSION);
	buf_init(&text, &rig->memory);
	cr_assert_eq(io_load_file(rig->io, rig_path(rig, "ca.crt"), 1 << 20, &text), OK);
	cr_assert_eq(io_save_file(rig->io, rig_path(rig, "cas/any-name"), buf_span(&text)), OK);
	buf_fini(&text);
	options = certs_options(rig);
	options.ca_cert_file = NULL;
	options.ca_cert_dir = dir;
	configure(rig, &options);
	struct end server, client;
	both_open(rig, &server, &client);
	exchange(&server, &client);
	both_fini(&server, &client);
}
SIM(directory_of_cas_is_read)

static void version_is_what_the_operator_allows(struct rig *rig)
{
	static const char *const cases[][2] = {
	    {"", "TLSv1.3"}, {"TLSv1.3", "TLSv1.3"}, {"TLSv1.2", "TLSv1.2"}, {"TLSv1.2 TLSv1.3", "TLSv1.3"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[TLS_WHY_MAX];
		struct end server, client;
		struct tls_options options = certs_options(rig);
		options.protocols = cases[i][0];
		options.prefer_server_ciphers = i % 2 == 0;
		configure(rig, &options);
		both_open(rig, &server, &client);
		cr_assert_str_eq(tls_stream_cipher(&server.stream, text), "");
		exchange(&server, &client);
		tls_stream_cipher(&server.stream, text);
		cr_assert_eq(strncmp(text, cases[i][1], strlen(cases[i][1])), 0, "%s", text);
		both_fini(&server, &client);
	}
}
SIM(version_is_what_the_operator_allows)

static void older_version_is_refused(struct rig *rig)
{
	SSL_CTX_set_max_proto_version(rig->tls->connecting, TLS1_2_VERSION);
	SSL_CTX_set_min_proto_version(rig->tls->connecting, TLS1_2_VERSION);
	expect_refusal(rig, ERR_INVALID, ERR_INVALID);
}
SIM(older_version_is_refused)

static void keys_are_renewed_in_a_long_stream(struct rig *rig)
{
	enum { LONG = 4 << 20 };
	struct end server, client;
	struct tls_options options = certs_options(rig);
	options.rekey_bytes = 100000;
	configure(rig, &options);
	uint8_t *bytes = memory_alloc(&rig->memory, LONG);
	pattern_fill(bytes, LONG, 3);
	both_open(rig, &server, &client);
	for (unsigned i = 0; i < 4; i++) {
		end_send(&server, span_of(bytes, LONG));
		end_send(&client, span_of(bytes, LONG / 8));
		end_until_received(&client, (i + 1) * LONG);
		rig_until(rig, &server.sent);
		rig_until(rig, &client.sent);
		cr_assert_eq(memcmp(client.received.ptr + i * LONG, bytes, LONG), 0);
	}
	end_until_received(&server, LONG / 2);
	memory_free(&rig->memory, bytes, LONG);
	both_fini(&server, &client);
}
SIM(keys_are_renewed_in_a_long_stream)

/* ---- Peers that do not behave ------------------------------------------------------------ */

static void silence_ends_at_the_deadline(struct rig *rig)
{
	int fds[2];
	struct end server, peer;
	fds_make(rig, fds);
	uint64_t from_us = io_clock_us(rig->io);
	end_open(rig, &server, fds[0]);
	end_open_plain(rig, &peer, fds[1]);
	rig_until(rig, &server.broken);
	cr_assert_eq(server.broken_err, ERR_TIMEOUT);
	uint64_t took_ms = (io_clock_us(rig->io) - from_us) / 1000;
	cr_assert(took_ms >= TLS_HANDSHAKE_MS_MAX && took_ms < 2 * TLS_HANDSHAKE_MS_MAX);
	both_fini(&server, &peer);
}
SIM(silence_ends_at_the_deadline)

static void clear_text_is_answered_with_an_alert(struct rig *rig)
{
	int fds[2];
	struct end server, peer;
	fds_make(rig, fds);
	end_open(rig, &server, fds[0]);
	end_open_plain(rig, &peer, fds[1]);
	end_send(&peer, SPAN_LIT("*1\r\n$4\r\nPING\r\n"));
	rig_until(rig, &server.broken);
	cr_assert_eq(server.broken_err, ERR_INVALID);
	end_close(&server);
	rig_until(rig, &peer.eof);
	both_fini(&server, &peer);
}
SIM(clear_text_is_answered_with_an_alert)

static void random_bytes_never_pass(struct rig *rig)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		int fds[2];
		uint8_t bytes[2000];
		struct end server, peer;
		struct random random;
		random_init(&random, seed);
		fds_make(rig, fds);
		end_open(rig, &server, fds[0]);
		end_open_plain(rig, &peer, fds[1]);
		pattern_fill(bytes, sizeof(bytes), seed);
		/* Many begin as a record does, so that more than the first check sees them. */
		if (seed % 4 != 0)
			memcpy(bytes, "\x16\x03\x01\x01\xf0\x01\x00\x01\xec\x03\x03", seed % 12);
		end_send(&peer, span_of(bytes, 1 + random_next(&random) % sizeof(bytes)));
		rig_until(rig, &peer.sent);
		end_close(&peer);
		rig_until(rig, &server.broken);
		cr_assert_eq(server.received.len, 0);
		both_fini(&server, &peer);
	}
}
SIM(random_bytes_never_pass)

static void peer_that_does_not_read_pins_little(struct rig *rig)
{
	enum { MUCH = 16 << 20, PINNED_MAX = 160 << 10 };
	struct end server, client;
	both_open(rig, &server, &client);
	exchange(&server, &client);
	uint64_t before = rig->tls->memory.bytes;
	uint8_t *bytes = memory_zalloc(&rig->memory, MUCH);
	io_stream_pause(rig->io, &client.stream);
	rig_until(rig, &client.paused);
	end_send(&server, span_of(bytes, MUCH));
	for (unsigned i = 0; i < 200; i++)
		io_wait(rig->io, 1000);
	cr_assert(!server.sent);
	uint64_t pinned = rig->tls->memory.bytes - before;
	cr_assert_lt(pinned, PINNED_MAX, "%llu", (unsigned long long)pinned);
	client.paused = false;
	io_stream_resume(rig->io, &client.stream);
	end_until_received(&client, MUCH);
	rig_until(rig, &server.sent);
	for (unsigned i = 0; i < 10; i++)
		io_wait(rig->io, 1000);
	cr_assert_leq(rig->tls->memory.bytes, before + (8 << 10));
	memory_free(&rig->memory, bytes, MUCH);
	both_fini(&server, &client);
}
SIM(peer_that_does_not_read_pins_little)

static void bytes_before_the_handshake_are_bounded(struct rig *rig)
{
	enum { FLOOD = 4 << 20 };
	int fds[2];
	struct end server, peer;
	uint8_t *bytes = memory_zalloc(&rig->memory, FLOOD);
	memcpy(bytes, "\x16\x03\x01\x40\x00\x01\x00\xff\xff\x03\x03", 11);
	uint64_t before = rig->tls->memory.bytes;
	fds_make(rig, fds);
	end_open(rig, &server, fds[0]);
	end_open_plain(rig, &peer, fds[1]);
	rig->tls->spent_us = UINT64_MAX / 2;      /* the pass has no time for handshakes */
	end_send(&peer, span_of(bytes, FLOOD));
	rig_until(rig, &server.broken);
	cr_assert_lt(rig->tls->memory.bytes - before, 1 << 20);
	end_close(&server);
	rig_until(rig, &peer.sent);
	memory_free(&rig->memory, bytes, FLOOD);
	both_fini(&server, &peer);
}
SIM(bytes_before_the_handshake_are_bounded)

/* What arrives behind a handshake that waits for its turn is kept, and is not much. */
static void handshake_waits_for_its_turn(struct rig *rig)
{
	enum { MUCH = 8 << 20, PASSES = 50 };
	struct end server, client;
	struct tls *servers = rig->tls;
	struct tls_stats stats = {0};
	int fds[2];
	uint8_t *bytes = memory_alloc(&rig->memory, MUCH);
	pattern_fill(bytes, MUCH, 13);
	rig->tls = certs_tls(rig);
	struct tls_options options = certs_options(rig);
	cr_assert_eq(tls_configure(servers, &options, (char[TLS_WHY_MAX]){0}), OK);
	fds_make(rig, fds);
	end_open_connecting(rig, &client, fds[1]);
	struct tls *clients = rig->tls;
	rig->tls = servers;
	end_open(rig, &server, fds[0]);
	end_send(&client, span_of(bytes, MUCH));
	while (stats.connected == 0) {
		io_wait(rig->io, 1000);
		tls_get_stats(clients, &stats);
	}
	servers->budget_us = 0;
	for (unsigned i = 0; i < PASSES; i++)
		io_wait(rig->io, 1000);
	cr_assert(!server.broken && !client.sent);
	cr_assert_lt(servers->memory.bytes, 4 << 20);
	servers->budget_us = TLS_HANDSHAKE_US_PER_PASS;
	end_until_received(&server, MUCH);
	cr_assert_eq(memcmp(server.received.ptr, bytes, MUCH), 0);
	rig_until(rig, &client.sent);
	memory_free(&rig->memory, bytes, MUCH);
	both_fini(&server, &client);
	tls_free(clients);
}
BACKENDS_TLS(handshake_waits_for_its_turn)

/* ---- A wire in between, that cuts and flips ------------------------------------------------ */

struct wire {
	struct end client, server, left, right;   /* client - left | right - server */
	size_t     passed_on;             /* bytes of left that right was given */
	size_t     back;                  /* and the other way */
	size_t     flip_at, cut_at;       /* of what the client says; SIZE_MAX: never */
};

static void wire_open(struct rig *rig, struct wire *wire, size_t flip_at, size_t cut_at)
{
	int near[2], far[2];
	*wire = (struct wire){.flip_at = flip_at, .cut_at = cut_at};
	fds_make(rig, near);
	fds_make(rig, far);
	end_open(rig, &wire->server, far[0]);
	end_open_plain(rig, &wire->right, far[1]);
	end_open_plain(rig, &wire->left, near[0]);
	end_open_connecting(rig, &wire->client, near[1]);
}

/* Gives bytes on to `end`; a copy of them, since the end that received them goes on growing. */
static void wire_carry(struct rig *rig, struct end *end, struct span bytes)
{
	uint8_t *copy = memory_alloc(&rig->memory, bytes.len);
	memcpy(copy, bytes.ptr, bytes.len);
	end_send(end, span_of(copy, bytes.len));
	rig_until(rig, &end->sent);
	memory_free(&rig->memory, copy, bytes.len);
}

static void wire_pass(struct rig *rig, struct wire *wire)
{
	io_wait(rig->io, 1000);
	size_t upto = wire->left.received.len < wire->cut_at ? wire->left.received.len : wire->cut_at;
	if (!wire->right.broken && upto > wire->passed_on) {
		uint8_t *from = wire->left.received.ptr;
		size_t at = wire->passed_on;
		if (wire->flip_at >= at && wire->flip_at < upto)
			from[wire->flip_at] ^= 1;
		wire->passed_on = upto;
		wire_carry(rig, &wire->right, span_of(from + at, upto - at));
	}
	if (!wire->left.broken && wire->right.received.len > wire->back) {
		struct span all = buf_span(&wire->right.received);
		struct span more = span_slice(all, wire->back, all.len);
		wire->back = all.len;
		wire_carry(rig, &wire->left, more);
	}
}

enum { SAID = 40000 };

/* The client says SAID bytes and goes; runs until the server knows the end. Returns how
 * many bytes the wire saw. */
static size_t wire_run(struct rig *rig, size_t flip_at, size_t cut_at, bool whole)
{
	struct wire wire;
	uint8_t *said = memory_alloc(&rig->memory, SAID);
	pattern_fill(said, SAID, 77);
	wire_open(rig, &wire, flip_at, cut_at);
	end_send(&wire.client, span_of(said, SAID));
	bool gone = false, cut = false;
	while (!wire.server.eof && !wire.server.broken) {
		wire_pass(rig, &wire);
		if (wire.client.sent && !gone && !wire.client.broken) {
			io_stream_close(rig->io, &wire.client.stream);
			gone = true;
		}
		if ((wire.passed_on == cut_at || wire.client.broken) && !cut) {
			io_stream_close(rig->io, &wire.right.stream);
			cut = true;
		}
	}
	cr_assert_leq(wire.server.received.len, SAID);
	cr_assert_eq(memcmp(wire.server.received.ptr == NULL ? said : wire.server.received.ptr, said,
	    wire.server.received.len), 0);
	cr_assert_eq(wire.server.eof, whole);
	cr_assert_eq(wire.server.received.len == SAID && wire.server.eof, whole);
	size_t seen = wire.left.received.len;
	both_fini(&wire.client, &wire.server);
	both_fini(&wire.left, &wire.right);
	memory_free(&rig->memory, said, SAID);
	return seen;
}

static void cut_anywhere_is_no_orderly_end(struct rig *rig)
{
	size_t all = wire_run(rig, SIZE_MAX, SIZE_MAX, true);
	cr_assert_gt(all, SAID);
	for (size_t at = 1; at < all - 30; at += at < 3000 && at + 100 < all ? 97 : 1501)
		(void)wire_run(rig, SIZE_MAX, at, false);
	/* Within the farewell; signatures differ by a few bytes from run to run. */
	(void)wire_run(rig, SIZE_MAX, all - 10, false);
}
SIM(cut_anywhere_is_no_orderly_end)

static void flipped_bit_anywhere_breaks_the_stream(struct rig *rig)
{
	size_t all = wire_run(rig, SIZE_MAX, SIZE_MAX, true);
	for (size_t at = 300; at < all - 30; at += 1237)
		(void)wire_run(rig, at, SIZE_MAX, false);
	(void)wire_run(rig, all - 10, SIZE_MAX, false);
}
SIM(flipped_bit_anywhere_breaks_the_stream)
