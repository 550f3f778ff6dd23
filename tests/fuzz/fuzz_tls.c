/* tests/fuzz/fuzz_tls.c: the bytes of a TLS client, on their way into OpenSSL's memory and out of it.
 *
 * A true client shakes hands with a stream that accepts, on a simulated machine. The input says what
 * becomes of each flight: it passes whole, in pieces, with a bit flipped, cut, doubled, or with bytes of the
 * input before it; and when the client writes, says farewell, or hangs up. Whatever it says, plain bytes
 * that the server is shown are those that the client wrote, in order; and the stream ends.
 */
#include "base/arith.h"
#include "base/buf.h"
#include "io/sim.h"
#include "io/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PORT = 1, PASSES = 40, STEPS = 64, END_PASSES = 100000 };
enum deed { PASS, SPLIT, FLIP, CUT, DOUBLE, INSERT, WRITE, FAREWELL, HANG_UP, DEEDS };

struct rig {
	struct io         *io;
	struct tls        *tls;
	struct log         log;
	struct io_listener listener;
	SSL_CTX           *client_ctx;
	/* The server's end. */
	struct io_stream   stream;
	struct iovec       reply;
	bool               open, closing, sending;
	uint64_t           seen;          /* bytes of the client's, of which the n-th is n modulo 251 */
};

static void quiet(void *ctx, enum log_level level, struct span text)
{
	UNUSED(ctx);
	UNUSED(level);
	UNUSED(text);
}

static void close_it(struct rig *rig)
{
	if (rig->open && !rig->closing)
		io_stream_close(rig->io, &rig->stream);
	rig->closing = true;
}

static void on_received(struct io_stream *stream, struct span bytes, enum err err)
{
	struct rig *rig = stream->ctx;
	for (size_t i = 0; i < bytes.len; i++)
		if (bytes.ptr[i] != (uint8_t)(rig->seen++ % 251))
			abort();
	if (err != OK || bytes.len == 0) {
		close_it(rig);
	} else if (!rig->sending && !rig->closing) {
		rig->reply = (struct iovec){(void *)(uintptr_t)"+OK\r\n", 5};
		rig->sending = true;
		io_stream_send(rig->io, stream, &rig->reply, 1);
	}
}

static void on_sent(struct io_stream *stream, enum err err)
{
	struct rig *rig = stream->ctx;
	rig->sending = false;
	if (err != OK)
		close_it(rig);
}

static void on_closed(struct io_stream *stream)
{
	struct rig *rig = stream->ctx;
	rig->open = rig->closing = rig->sending = false;
}

static const struct io_stream_events events = {
    .received = on_received, .sent = on_sent, .closed = on_closed};

static void on_accepted(struct io_listener *listener, int fd)
{
	struct rig *rig = listener->ctx;
	const struct tls_stream_options options = {.fd = fd};
	rig->open = true;
	tls_stream_open(rig->tls, &rig->stream, &options, &events, rig);
}

static void must(bool good)
{
	if (!good)
		abort();
}

static void save(struct io *io, const char *path, BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	must(io_save_file(io, path, span_of(bytes, (size_t)len)) == OK);
	BIO_free(bio);
}

static void make_certificate(struct io *io)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	must(key != NULL && cert != NULL && X509_set_version(cert, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * 3650);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)"fuzz", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	must(X509_sign(cert, key, EVP_sha256()) > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	save(io, "/t/crt", bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	save(io, "/t/key", bio);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static struct rig *rig_new(void)
{
	static struct rig rig;
	char why[TLS_WHY_MAX];
	const struct io_listen_options where = {.address = "127.0.0.1", .port = PORT};
	const struct tls_options options = {
	    .cert_file = "/t/crt", .key_file = "/t/key", .protocols = "TLSv1.2 TLSv1.3"};
	rig.log = (struct log){.level = LOG_WARNING, .sink = quiet};
	rig.io = sim_new(sim_disk_new(1), 1, &rig.log);
	rig.tls = tls_new(rig.io, &rig.log);
	must(io_make_directory(rig.io, "/t") == OK);
	make_certificate(rig.io);
	must(tls_configure(rig.tls, &options, why) == OK);
	rig.listener = (struct io_listener){.accepted = on_accepted, .ctx = &rig};
	must(io_listen(rig.io, &rig.listener, &where) == OK);
	rig.client_ctx = SSL_CTX_new(TLS_client_method());
	must(rig.client_ctx != NULL);
	return &rig;
}

/* ---- The client ---- */

struct client {
	struct rig      *rig;
	struct sim_peer *peer;
	SSL             *ssl;
	BIO             *in, *out;
	uint64_t         written;
	struct span      input;           /* what is left */
	struct memory    memory;
};

static uint8_t take(struct client *client)
{
	if (client->input.len == 0)
		return 0;
	uint8_t byte = client->input.ptr[0];
	client->input = span_slice(client->input, 1, client->input.len);
	return byte;
}

static void client_write(struct client *client)
{
	uint8_t bytes[512];
	size_t len = (size_t)1 + 2 * take(client);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((client->written + i) % 251);
	if (SSL_write(client->ssl, bytes, (int)len) == (int)len)
		client->written += len;
}

/* What OpenSSL has to say leaves, more or less. */
static void client_flight(struct client *client, enum deed deed)
{
	struct buf flight;
	char *bytes;
	long len = BIO_get_mem_data(client->out, &bytes);
	buf_init(&flight, &client->memory);
	if (deed == INSERT) {
		size_t count = min_u64(take(client), client->input.len);
		buf_append(&flight, span_slice(client->input, 0, count));
		client->input = span_slice(client->input, count, client->input.len);
	}
	if (len > 0)
		buf_append(&flight, span_of(bytes, (size_t)len));
	(void)BIO_reset(client->out);
	size_t at = flight.len == 0 ? 0 : (take(client) | (size_t)take(client) << 8) % flight.len;
	if (deed == FLIP && flight.len > 0)
		flight.ptr[at] ^= (uint8_t)(1U << take(client) % 8);
	else if (deed == CUT)
		flight.len = at;
	if (deed == SPLIT && at > 0) {
		sim_peer_send(client->peer, span_of(flight.ptr, at));
		for (int i = 0; i < PASSES; i++)
			io_wait(client->rig->io, 100);
	}
	struct span rest = span_slice(buf_span(&flight), deed == SPLIT ? at : 0, flight.len);
	for (int times = deed == DOUBLE ? 2 : 1; times > 0 && rest.len > 0; times--)
		sim_peer_send(client->peer, rest);
	buf_fini(&flight);
}

/* False: it has hung up. */
static bool client_step(struct client *client)
{
	enum deed deed = (enum deed)(take(client) % (2 * DEEDS));
	if (deed == HANG_UP)
		return false;
	if (deed == FAREWELL)
		SSL_shutdown(client->ssl);
	else if (deed == WRITE || deed >= DEEDS)
		client_write(client);
	uint8_t bytes[512];
	(void)SSL_read(client->ssl, bytes, sizeof(bytes));
	client_flight(client, deed);
	for (int i = 0; i < PASSES; i++)
		io_wait(client->rig->io, 100);
	struct buf *came = sim_peer_received(client->peer);
	if (came->len > 0)
		BIO_write(client->in, came->ptr, (int)came->len);
	buf_clear(came);
	return !sim_peer_is_closed(client->peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig *rig;
	if (rig == NULL)
		rig = rig_new();
	struct client client = {.rig = rig, .input = span_of(data, size)};
	client.peer = sim_connect(rig->io, "127.0.0.1", PORT);
	client.ssl = SSL_new(rig->client_ctx);
	client.in = BIO_new(BIO_s_mem());
	client.out = BIO_new(BIO_s_mem());
	must(client.peer != NULL && client.ssl != NULL && client.in != NULL && client.out != NULL);
	if (take(&client) & 1)
		SSL_set_max_proto_version(client.ssl, TLS1_2_VERSION);
	SSL_set_bio(client.ssl, client.in, client.out);
	SSL_set_connect_state(client.ssl);
	rig->seen = 0;
	for (int i = 0; i < STEPS && client_step(&client) && client.input.len > 0; i++) {
	}
	if (rig->seen > client.written)
		abort();
	SSL_free(client.ssl);
	sim_peer_free(client.peer);
	for (int i = 0; i < PASSES || (rig->open && i < END_PASSES); i++)
		io_wait(rig->io, 1000);
	if (rig->open)
		abort();
	return 0;
}
