/* io/tls_impl.h: what io.c, tls.c and tls_context.c share. For files of this folder only. */
#pragma once
#include "base/buf.h"
#include "io/tls.h"

#include <openssl/ssl.h>

struct tls {
	uint32_t    magic;
	struct io  *io;
	struct log *log;
	SSL_CTX    *accepting;            /* NULL until there is a certificate */
	SSL_CTX    *connecting;
	BIO_METHOD *bio;                  /* between OpenSSL and a stream's buffers */
	struct memory memory;
	struct tls_stats stats;
	uint64_t    rekey_bytes;
	uint64_t    budget_us;            /* of a pass, for handshakes */
	uint64_t    pass_us, spent_us;    /* time that handshakes took in the pass of pass_us */
	uint8_t     plain[TLS_RECORD_BYTES];     /* decrypted, during received() */
	uint8_t     gathered[TLS_RECORD_BYTES];  /* small pieces, before they become a record */
};

void tls_check(const struct tls *tls);

/* The calls of io.h for a stream with TLS. */
void tls_stream_send(struct io *io, struct io_stream *stream);
void tls_stream_pause(struct io *io, struct io_stream *stream);
void tls_stream_resume(struct io *io, struct io_stream *stream);
void tls_stream_fill(struct io *io, struct io_stream *stream);
void tls_stream_close(struct io *io, struct io_stream *stream);

/* The BIO's ends: bytes that arrived, and bytes that shall leave (tls.c). */
struct tls_stream;
size_t tls_input_take(struct tls_stream *tls, void *to, size_t max);
void tls_output_put(struct tls_stream *tls, const void *from, size_t len);
