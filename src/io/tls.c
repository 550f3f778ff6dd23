/* io/tls.c: one stream in TLS.
 *
 * Below lies `raw`, a stream of io.h that carries records. OpenSSL sits between two heaps
 * of bytes: what raw received (`input` during the callback, `kept` afterwards) and what
 * shall leave (`out`; `leaving` while raw sends it).
 *
 * pump() makes steps until none can be made: the handshake, then whatever the user's stream
 * is waiting for. It runs from raw's events and from the `kick` timer, so always inside
 * io_wait, and the user's events are called from nowhere else: a call of io.h made outside
 * sets the timer. Since pump() stops where the user pauses, pausing costs nothing; raw itself
 * is paused only when nobody above wants bytes.
 */
#include "io/backend.h"
#include "io/tls_impl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>

#define TLS_STREAM_MAGIC 0x74696f06u

enum { RECORD_OVERHEAD = 256, LEAVING_KEPT = 2 << 10, OUT_MAX = 1 << 20, EARLY_BYTES_MAX = 64 << 10 };

enum raw_state { RAW_RECEIVING, RAW_PAUSING, RAW_PAUSED };

struct tls_stream {
	uint32_t          magic;
	struct tls       *tls;
	struct io_stream *user;           /* the one with the clear bytes */
	struct io_stream  raw;
	SSL              *ssl;
	enum raw_state    raw_state;
	bool              connecting, shaken, pumping, raw_sending;
	bool              ended;          /* the peer's farewell came: an orderly end */
	bool              raw_ended;      /* raw brings nothing more */
	bool              end_told;
	enum err          failed;         /* why the stream is broken */
	struct span       input;
	struct buf        kept;
	size_t            kept_at;
	struct buf        out, leaving;
	struct iovec      leaving_iov;
	uint64_t          key_bytes;      /* encrypted with the current key */
	struct io_timer   kick, deadline;
};

static struct tls_stream *tls_of(const struct io_stream *user)
{
	struct tls_stream *tls = user->tls;
	CHECK_OBJ(tls, TLS_STREAM_MAGIC);
	ASSERT(tls->user == user);
	return tls;
}

/* ---- OpenSSL's ends ------------------------------------------------------------------- */

size_t tls_input_take(struct tls_stream *tls, void *to, size_t max)
{
	CHECK_OBJ(tls, TLS_STREAM_MAGIC);
	size_t kept = tls->kept.len - tls->kept_at;
	if (kept > 0) {
		size_t count = kept < max ? kept : max;
		memcpy(to, tls->kept.ptr + tls->kept_at, count);
		tls->kept_at += count;
		if (tls->kept_at == tls->kept.len) {
			buf_fini(&tls->kept);
			tls->kept_at = 0;
		}
		return count;
	}
	size_t count = tls->input.len < max ? tls->input.len : max;
	if (count > 0)
		memcpy(to, tls->input.ptr, count);
	tls->input = span_slice(tls->input, count, tls->input.len);
	return count;
}

void tls_output_put(struct tls_stream *tls, const void *from, size_t len)
{
	CHECK_OBJ(tls, TLS_STREAM_MAGIC);
	buf_append(&tls->out, span_of(from, len));
}

/* ---- What raw shall do ---------------------------------------------------------------- */

static void raw_adjust(struct tls_stream *tls)
{
	struct io *io = tls->tls->io;
	uint8_t mode = tls->user->mode;
	if (tls->raw_ended)
		return;                   /* nothing is armed */
	bool wanted = tls->failed == OK && !tls->ended &&
	    (mode == STREAM_RECEIVING || mode == STREAM_FILLING);
	if (!tls->shaken && tls->failed == OK)
		wanted = tls->kept.len - tls->kept_at < EARLY_BYTES_MAX;
	if (!wanted && tls->raw_state == RAW_RECEIVING) {
		tls->raw_state = RAW_PAUSING;
		io_stream_pause(io, &tls->raw);
	} else if (wanted && tls->raw_state == RAW_PAUSED) {
		tls->raw_state = RAW_RECEIVING;
		io_stream_resume(io, &tls->raw);
	}
}

static void raw_flush(struct tls_stream *tls)
{
	if (tls->raw_sending || tls->out.len == 0)
		return;
	struct buf swap = tls->leaving;
	tls->leaving = tls->out;
	tls->out = swap;
	ASSERT(tls->out.len == 0);
	tls->leaving_iov = (struct iovec){tls->leaving.ptr, tls->leaving.len};
	tls->raw_sending = true;
	io_stream_send(tls->tls->io, &tls->raw, &tls->leaving_iov, 1);
}

/* ---- Failing --------------------------------------------------------------------------- */

static void fail(struct tls_stream *tls, enum err err)
{
	ASSERT(err != OK);
	if (tls->failed == OK)
		tls->failed = err;
	io_timer_cancel(tls->tls->io, &tls->deadline);
}

/* A call of OpenSSL did not do what it should: is that final? */
static void judge(struct tls_stream *tls, int result)
{
	char address[IO_ADDRESS_MAX];
	int error = SSL_get_error(tls->ssl, result);
	if (error == SSL_ERROR_WANT_READ)
		return;
	if (error == SSL_ERROR_ZERO_RETURN) {
		tls->ended = true;
		return;
	}
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	long verified = SSL_get_verify_result(tls->ssl);
	if (!tls->shaken) {
		tls->tls->stats.failed++;
		io_stream_address(tls->tls->io, &tls->raw, false, address);
		log_verbose(tls->tls->log, "TLS: the handshake with %s failed: %s%s%s", address,
		    reason == NULL ? "unknown reason" : reason, verified == X509_V_OK ? "" : ": ",
		    verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
	}
	ERR_clear_error();
	fail(tls, verified == X509_V_OK ? ERR_INVALID : ERR_PERMISSION);
}

/* Runs pump() soon, unless it is running: then it sees for itself what was asked. */
static void kick(struct tls_stream *tls)
{
	if (!tls->pumping)
		io_timer_set(tls->tls->io, &tls->kick, 1);
}

/* ---- Sending --------------------------------------------------------------------------- */

/* The next plain bytes for one record: where they lie, or gathered from small pieces. */
static struct span next_plain(struct tls_stream *tls)
{
	const struct io_stream *user = tls->user;
	const struct iovec *iov = user->send_iov;
	if (iov->iov_len >= TLS_RECORD_BYTES || user->send_iov_count == 1)
		return span_of(iov->iov_base,
		    iov->iov_len < TLS_RECORD_BYTES ? iov->iov_len : (size_t)TLS_RECORD_BYTES);
	size_t len = 0;
	for (uint32_t i = 0; i < user->send_iov_count && len < TLS_RECORD_BYTES; i++) {
		size_t room = TLS_RECORD_BYTES - len;
		size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;
		if (part > 0)
			memcpy(tls->tls->gathered + len, iov[i].iov_base, part);
		len += part;
	}
	return span_of(tls->tls->gathered, len);
}

/* One key may not encrypt without end. The next write announces the new one. */
static void rekey(struct tls_stream *tls, uint64_t written)
{
	tls->key_bytes += written;
	if (tls->key_bytes < tls->tls->rekey_bytes || SSL_version(tls->ssl) != TLS1_3_VERSION)
		return;
	tls->key_bytes = 0;
	if (SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
		fail(tls, ERR_INVALID);
}

/* Encrypts until the buffer is full or the user's bytes are at their end. */
static void encrypt(struct tls_stream *tls)
{
	struct io_stream *user = tls->user;
	if (!user->sending || !tls->shaken || tls->raw_sending || tls->failed != OK)
		return;
	uint64_t left = io_iov_bytes(user->send_iov, user->send_iov_count);
	uint64_t room = left + RECORD_OVERHEAD * (1 + left / TLS_RECORD_BYTES);
	buf_reserve(&tls->out, room < TLS_OUT_BYTES ? (size_t)room : TLS_OUT_BYTES);
	while (left > 0 && tls->failed == OK &&
	    tls->out.len + TLS_RECORD_BYTES + RECORD_OVERHEAD <= TLS_OUT_BYTES) {
		struct span plain = next_plain(tls);
		ERR_clear_error();
		int written = SSL_write(tls->ssl, plain.ptr, (int)plain.len);
		if (written <= 0) {
			judge(tls, written);
			fail(tls, ERR_INVALID);
			return;
		}
		uint32_t at = io_iov_advance(user->send_iov, user->send_iov_count, (size_t)written);
		user->send_iov += at;
		user->send_iov_count -= at;
		left -= (uint64_t)written;
		rekey(tls, (uint64_t)written);
	}
}

/* ---- Receiving --------------------------------------------------------------------------- */

/* Nothing more will come: says so, once for every time that somebody asks. */
static bool tell_end(struct tls_stream *tls)
{
	struct io_stream *user = tls->user;
	enum err err = tls->failed;
	if (user->mode == STREAM_FILLING) {
		user->mode = STREAM_PAUSED;
		user->events->filled(user, user->filled_bytes, err == OK ? ERR_CLOSED : err);
		return true;
	}
	if (user->mode != STREAM_RECEIVING || tls->end_told)
		return false;
	tls->end_told = true;
	user->events->received(user, (struct span){0}, err);
	return true;
}

/* One read for whoever waits. False: nothing can be done. */
static bool read_step(struct tls_stream *tls)
{
	struct io_stream *user = tls->user;
	bool filling = user->mode == STREAM_FILLING;
	uint8_t *to = tls->tls->plain;
	size_t room = TLS_RECORD_BYTES;
	if (filling) {
		to = (uint8_t *)user->fill.iov_base + user->filled_bytes;
		room = user->fill.iov_len - user->filled_bytes;
	}
	ERR_clear_error();
	int count = SSL_read(tls->ssl, to, room < INT32_MAX ? (int)room : INT32_MAX);
	if (count <= 0) {
		judge(tls, count);
		if (tls->raw_ended && tls->failed == OK && !tls->ended) {
			tls->tls->stats.cut++;
			fail(tls, ERR_CLOSED);
		}
		return tls->ended || tls->failed != OK;
	}
	if (!filling) {
		user->events->received(user, span_of(to, (size_t)count), OK);
		return true;
	}
	user->filled_bytes += (size_t)count;
	if (user->filled_bytes >= user->fill_min) {
		user->mode = STREAM_PAUSED;
		user->events->filled(user, user->filled_bytes, OK);
	}
	return true;
}

/* True: the handshake may take time now. Else its turn comes in the next pass. */
static bool budget_has_time(struct tls_stream *tls)
{
	struct tls *all = tls->tls;
	uint64_t now_us = io_now_us(all->io);
	if (all->pass_us != now_us) {
		all->pass_us = now_us;
		all->spent_us = 0;
	}
	if (all->spent_us < all->budget_us)
		return true;
	io_timer_set(all->io, &tls->kick, 1);
	return false;
}

static bool handshake_step(struct tls_stream *tls)
{
	struct tls *all = tls->tls;
	if (!budget_has_time(tls))
		return false;
	uint64_t from_us = io_clock_us(all->io);
	ERR_clear_error();
	int result = SSL_do_handshake(tls->ssl);
	all->spent_us += io_clock_us(all->io) - from_us;
	if (result == 1) {
		tls->shaken = true;
		io_timer_cancel(all->io, &tls->deadline);
		all->stats.accepted += !tls->connecting;
		all->stats.connected += tls->connecting;
		all->stats.resumed += SSL_session_reused(tls->ssl) == 1;
		return true;
	}
	judge(tls, result);
	if (tls->raw_ended && tls->failed == OK) {
		all->stats.failed++;
		fail(tls, ERR_CLOSED);
	}
	return tls->failed != OK;
}

/* One thing that can be done; false: there is none. */
static bool step(struct tls_stream *tls)
{
	struct io_stream *user = tls->user;
	if (user->mode == STREAM_PAUSING) {
		user->mode = STREAM_PAUSED;
		user->events->paused(user);
		return true;
	}
	if (tls->failed != OK)
		return tell_end(tls);
	if (!tls->shaken)
		return handshake_step(tls);
	if (user->mode != STREAM_RECEIVING && user->mode != STREAM_FILLING)
		return false;
	return tls->ended ? tell_end(tls) : read_step(tls);
}

/* Tells the sender that its stream is broken. */
static void tell_sender(struct tls_stream *tls)
{
	struct io_stream *user = tls->user;
	if (tls->failed == OK || !user->sending || tls->raw_sending || user->closing)
		return;
	user->sending = 0;
	user->events->sent(user, tls->failed);
}

static void pump(struct tls_stream *tls)
{
	ASSERT(!tls->pumping);
	tls->pumping = true;
	while (!tls->user->closing && step(tls))
		if (tls->out.len > OUT_MAX)
			fail(tls, ERR_OVERLOADED);  /* it makes us answer and does not read */
	tls->pumping = false;
	if (tls->user->closing)
		return;
	encrypt(tls);
	raw_flush(tls);
	tell_sender(tls);
	if (!tls->user->closing)
		raw_adjust(tls);
}

/* ---- raw's events --------------------------------------------------------------------------- */

static struct tls_stream *tls_below(struct io_stream *raw)
{
	struct tls_stream *tls = raw->ctx;
	CHECK_OBJ(tls, TLS_STREAM_MAGIC);
	return tls;
}

static void on_raw_received(struct io_stream *raw, struct span bytes, enum err err)
{
	struct tls_stream *tls = tls_below(raw);
	if (tls->user->closing)
		return;
	if (err != OK) {
		tls->raw_ended = true;
		fail(tls, err);
	} else if (bytes.len == 0) {
		tls->raw_ended = true;
	}
	tls->input = bytes;
	pump(tls);
	if (tls->user->closing || tls->ended || tls->failed != OK)
		tls->input.len = 0;
	if (tls->input.len > 0)
		buf_append(&tls->kept, tls->input);
	tls->input = (struct span){0};
	if (!tls->shaken && !tls->user->closing)
		raw_adjust(tls);          /* it waits for its turn: enough is enough */
}

static void on_raw_paused(struct io_stream *raw)
{
	struct tls_stream *tls = tls_below(raw);
	tls->raw_state = RAW_PAUSED;
	if (!tls->user->closing)
		raw_adjust(tls);
}

static void on_raw_sent(struct io_stream *raw, enum err err)
{
	struct tls_stream *tls = tls_below(raw);
	struct io_stream *user = tls->user;
	tls->raw_sending = false;
	buf_clear(&tls->leaving);
	if (tls->leaving.cap > LEAVING_KEPT)
		buf_fini(&tls->leaving);
	if (user->closing) {
		io_stream_close(tls->tls->io, raw);
		return;
	}
	if (err != OK)
		fail(tls, err);
	encrypt(tls);
	raw_flush(tls);
	tell_sender(tls);
	if (tls->failed != OK && !user->closing)
		kick(tls);
	if (user->closing || tls->raw_sending || !user->sending || !tls->shaken)
		return;
	ASSERT(user->send_iov_count == 0);
	user->sending = 0;
	user->events->sent(user, OK);
}

static void on_raw_closed(struct io_stream *raw)
{
	struct tls_stream *tls = tls_below(raw);
	struct tls *all = tls->tls;
	struct io_stream *user = tls->user;
	ASSERT(user->closing);
	io_timer_cancel(all->io, &tls->deadline);
	if (tls->failed == OK)
		SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(tls->ssl);
	buf_fini(&tls->kept);
	buf_fini(&tls->out);
	buf_fini(&tls->leaving);
	all->stats.open--;
	DROP_OBJ(tls, TLS_STREAM_MAGIC);
	memory_free(&all->memory, tls, sizeof(*tls));
	user->tls = NULL;
	user->fd = -1;
	DROP_OBJ(user, IO_STREAM_MAGIC);
	user->events->closed(user);
}

static const struct io_stream_events raw_events = {
    .received = on_raw_received, .sent = on_raw_sent, .paused = on_raw_paused,
    .closed = on_raw_closed,
};

static void on_kick(struct io_timer *timer)
{
	struct tls_stream *tls = timer->ctx;
	CHECK_OBJ(tls, TLS_STREAM_MAGIC);
	if (!tls->user->closing)
		pump(tls);
}

/* Before the user closes: the handshake takes too long. After: the farewell does. */
static void on_deadline(struct io_timer *timer)
{
	struct tls_stream *tls = timer->ctx;
	CHECK_OBJ(tls, TLS_STREAM_MAGIC);
	if (tls->user->closing) {
		io_stream_close(tls->tls->io, &tls->raw);
		return;
	}
	tls->tls->stats.failed++;
	fail(tls, ERR_TIMEOUT);
	pump(tls);
}

/* ---- The calls of io.h ------------------------------------------------------------------------ */

void tls_stream_send(struct io *io, struct io_stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	UNUSED(io);
	if (tls->failed != OK) {
		kick(tls);
		return;
	}
	encrypt(tls);
	raw_flush(tls);
	if (tls->failed != OK)
		kick(tls);
}

void tls_stream_pause(struct io *io, struct io_stream *stream)
{
	UNUSED(io);
	kick(tls_of(stream));
}

/* Is there anything that pump() could hand out without raw's help? */
static bool has_input(const struct tls_stream *tls)
{
	return tls->kept.len > 0 || SSL_has_pending(tls->ssl) || tls->ended || tls->raw_ended ||
	    tls->failed != OK;
}

static void go_on(struct tls_stream *tls)
{
	tls->end_told = false;
	if (tls->pumping)
		return;
	if (has_input(tls))
		kick(tls);
	raw_adjust(tls);
}

void tls_stream_resume(struct io *io, struct io_stream *stream)
{
	UNUSED(io);
	go_on(tls_of(stream));
}

void tls_stream_fill(struct io *io, struct io_stream *stream)
{
	UNUSED(io);
	go_on(tls_of(stream));
}

void tls_stream_close(struct io *io, struct io_stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	io_timer_cancel(io, &tls->kick);
	io_timer_cancel(io, &tls->deadline);
	if (!tls->raw_sending && tls->shaken && tls->failed == OK) {
		ERR_clear_error();
		(void)SSL_shutdown(tls->ssl);
	}
	raw_flush(tls);                   /* the farewell, or the alert that says what is wrong */
	bool stuck = stream->sending && tls->shaken;
	if (!tls->raw_sending || tls->failed == ERR_CLOSED || stuck) {
		io_stream_close(io, &tls->raw);
		return;
	}
	io_timer_set(io, &tls->deadline, TLS_FAREWELL_MS_MAX * 1000ULL);
}

/* ---- Opening ------------------------------------------------------------------------------------ */

/* False: `host` cannot be asked for. */
static bool expect_host(SSL *ssl, const struct tls_stream_options *options)
{
	if (options->host == NULL || options->host[0] == 0)
		return !options->check_host;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(options->host);
	ASN1_OCTET_STRING_free(address);
	ERR_clear_error();
	if (address != NULL)              /* an address has no SNI */
		return !options->check_host || X509_VERIFY_PARAM_set1_ip_asc(param, options->host) == 1;
	/* OpenSSL's macro SSL_set_tlsext_host_name casts the constness away. */
	if (SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
	        (void *)(uintptr_t)options->host) != 1)
		return false;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return !options->check_host || X509_VERIFY_PARAM_set1_host(param, options->host, 0) == 1;
}

static void ssl_open(struct tls_stream *tls, const struct tls_stream_options *options)
{
	struct tls *all = tls->tls;
	SSL_CTX *ctx = options->connecting ? all->connecting : all->accepting;
	ASSERT(ctx != NULL);
	tls->ssl = SSL_new(ctx);
	ASSERT(tls->ssl != NULL);
	BIO *bio = BIO_new(all->bio);
	ASSERT(bio != NULL);
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	if (!options->connecting) {
		SSL_set_accept_state(tls->ssl);
		return;
	}
	SSL_set_connect_state(tls->ssl);
	if (!expect_host(tls->ssl, options))
		fail(tls, ERR_INVALID);
}

void tls_stream_open(struct tls *all, struct io_stream *stream,
    const struct tls_stream_options *options, const struct io_stream_events *events, void *ctx)
{
	tls_check(all);
	ASSERT(options->fd >= 0);
	ASSERT(events != NULL && events->received != NULL && events->closed != NULL);
	struct tls_stream *tls = memory_zalloc(&all->memory, sizeof(*tls));
	tls->magic = TLS_STREAM_MAGIC;
	tls->tls = all;
	tls->user = stream;
	tls->connecting = options->connecting;
	buf_init(&tls->kept, &all->memory);
	buf_init(&tls->out, &all->memory);
	buf_init(&tls->leaving, &all->memory);
	io_timer_init(&tls->kick, on_kick, tls);
	io_timer_init(&tls->deadline, on_deadline, tls);
	*stream = (struct io_stream){.magic = IO_STREAM_MAGIC, .fd = options->fd,
	    .mode = STREAM_RECEIVING, .events = events, .ctx = ctx, .tls = tls};
	list_init(&stream->link);
	all->stats.open++;
	ssl_open(tls, options);
	io_stream_open(all->io, &tls->raw, options->fd, &raw_events, tls);
	if (tls->failed == OK)
		io_timer_set(all->io, &tls->deadline, TLS_HANDSHAKE_MS_MAX * 1000ULL);
	if (options->connecting)
		kick(tls);                /* the first word is ours */
}

const char *tls_stream_cipher(const struct io_stream *stream, char out[TLS_WHY_MAX])
{
	out[0] = 0;
	if (stream->tls != NULL && tls_of(stream)->shaken)
		snprintf(out, TLS_WHY_MAX, "%s %s", SSL_get_version(stream->tls->ssl),
		    SSL_get_cipher_name(stream->tls->ssl));
	return out;
}
