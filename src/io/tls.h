/* io/tls.h: TLS 1.2 and 1.3 over any stream of io.h.
 *
 * A stream that tls_stream_open made is used as every other one: the same events, the same
 * calls of io.h, in the clear. Underneath lies a stream of its own, over which OpenSSL
 * speaks through memory: it never sees the socket, and a stream without TLS pays one
 * untaken branch per call.
 *
 * `struct tls` holds what all streams of a server share: the certificates as last loaded.
 * Streams that are open keep the certificate they began with; tls_configure changes only
 * what comes later, and changes nothing at all when anything of it cannot be used.
 *
 * What differs from a plain stream:
 *   received(): a stream that ends without TLS's own farewell was cut: ERR_CLOSED, not an
 *     end. Bytes that are not TLS, a certificate that is refused, and a handshake that takes
 *     longer than TLS_HANDSHAKE_MS_MAX end as ERR_INVALID, ERR_PERMISSION and ERR_TIMEOUT.
 *   send(): waits for the handshake; bytes are encrypted a bounded piece at a time, so that a
 *     peer that does not read pins TLS_OUT_BYTES and no more.
 *   close(): says farewell if the socket takes it, and waits at most TLS_FAREWELL_MS_MAX.
 * Handshakes of one pass share a budget of time; what is over it waits for the next pass.
 */
#pragma once
#include "io/io.h"

enum {
	TLS_HANDSHAKE_MS_MAX = 10000,
	TLS_HANDSHAKE_US_PER_PASS = 2000,
	TLS_FAREWELL_MS_MAX = 1000,
	TLS_RECORD_BYTES = 16 << 10,      /* plain bytes of a record, by the standard */
	TLS_OUT_BYTES = 66 << 10,         /* four records, encrypted, waiting to leave */
	TLS_FILE_BYTES_MAX = 1 << 20,     /* of certificates and keys */
	TLS_WHY_MAX = 256,
};

enum tls_peer { TLS_PEER_NONE, TLS_PEER_REQUIRED, TLS_PEER_OPTIONAL };

/* Paths and lists as Redis's settings have them; NULL or "" where there is none. */
struct tls_options {
	const char *cert_file, *key_file, *key_file_pass;      /* accepting, and connecting unless: */
	const char *client_cert_file, *client_key_file, *client_key_file_pass;
	const char *ca_cert_file, *ca_cert_dir, *dh_params_file;
	const char *protocols;            /* "TLSv1.2 TLSv1.3"; "": TLSv1.3 */
	const char *ciphers;              /* of TLS 1.2; "": OpenSSL's choice */
	const char *ciphersuites;         /* of TLS 1.3; "": OpenSSL's choice */
	bool        prefer_server_ciphers;
	bool        session_caching;
	int64_t     session_cache_size, session_cache_timeout_s;
	uint64_t    rekey_bytes;          /* TLS 1.3: a key encrypts so much; 0: TLS_REKEY_BYTES */
	enum tls_peer clients;            /* must clients show a certificate of the CA? */
};

#define TLS_REKEY_BYTES (UINT64_C(64) << 30)

struct tls;
struct tls *tls_new(struct io *io, struct log *log);
void tls_free(struct tls *tls);               /* no stream of it is open */

/* Reads every file (blocking, as at start) and replaces what is in use. ERR_INVALID: nothing
 * changed; `why` says which file or option, and what OpenSSL says of it. */
MUST_CHECK enum err tls_configure(
    struct tls *tls, const struct tls_options *options, char why[TLS_WHY_MAX]);
/* Can it accept? (A certificate and a key are loaded.) It can always connect. */
bool tls_can_accept(const struct tls *tls);

struct tls_stream_options {
	int         fd;                   /* a connected descriptor: taken over */
	bool        connecting;           /* we began the connection: the peer shows a certificate */
	const char *host;                 /* connecting: name or address we asked for; NULL: none */
	bool        check_host;           /* its certificate must be for `host` */
};
/* As io_stream_open. Connecting: the peer's certificate must come from the CA that is configured. */
void tls_stream_open(struct tls *tls, struct io_stream *stream,
    const struct tls_stream_options *options, const struct io_stream_events *events, void *ctx);
/* What was agreed on: "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" before, and for a plain stream. */
const char *tls_stream_cipher(const struct io_stream *stream, char out[TLS_WHY_MAX]);

struct tls_stats {
	uint64_t accepted, connected;     /* handshakes that ended well */
	uint64_t resumed;                 /* of these, by an earlier session */
	uint64_t failed;
	uint64_t cut;                     /* streams that ended without a farewell */
	uint32_t open;                    /* streams, now */
	int64_t  expires_s;               /* Unix time at which the certificate ends; 0: none */
	uint64_t loads;                   /* of certificates */
};
void tls_get_stats(const struct tls *tls, struct tls_stats *out);
