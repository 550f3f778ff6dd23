/* io/tls_context.c: certificates, keys and options become OpenSSL's contexts.
 *
 * Every file is read through the seam and parsed from memory. Two contexts are made, one
 * to accept with and one to connect with; only when both stand do they replace the old.
 * A directory of CA certificates is read whole, whatever its files are called: a handshake
 * must not look for files.
 */
#include "io/backend.h"
#include "io/tls_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdio.h>

#define TLS_MAGIC 0x74696f05u

struct loader {
	struct tls *tls;
	const struct tls_options *options;
	char       *why;
};

void tls_check(const struct tls *tls)
{
	CHECK_OBJ(tls, TLS_MAGIC);
	ASSERT(tls->io != NULL);
}

static bool is_set(const char *text)
{
	return text != NULL && text[0] != 0;
}

/* Says what cannot be used, and OpenSSL's reason if it gave one. */
static enum err refuse(struct loader *loader, const char *what, const char *value)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
	snprintf(loader->why, TLS_WHY_MAX, "%s%s%.120s%s%s", what, is_set(value) ? " " : "",
	    is_set(value) ? value : "", reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
	ERR_clear_error();
	return ERR_INVALID;
}

static int give_password(char *out, int size, int writing, void *ctx)
{
	const char *password = ctx;
	UNUSED(writing);
	size_t len = is_set(password) ? strlen(password) : 0;
	if (len == 0 || len > (size_t)size)
		return -1;
	memcpy(out, password, len);
	return (int)len;
}

/* A file as a BIO over `text`, which must live as long. NULL: it cannot be read. */
static BIO *open_file(struct loader *loader, const char *path, struct buf *text)
{
	buf_init(text, &loader->tls->memory);
	enum err err = io_load_file(loader->tls->io, path, TLS_FILE_BYTES_MAX, text);
	ERR_clear_error();
	if (err != OK) {
		snprintf(loader->why, TLS_WHY_MAX, "cannot read %.160s: %s", path, err_name(err));
		buf_fini(text);
		return NULL;
	}
	BIO *bio = BIO_new_mem_buf(text->len == 0 ? (void *)"" : text->ptr, (int)text->len);
	ASSERT(bio != NULL);
	return bio;
}

static void close_file(BIO *bio, struct buf *text)
{
	BIO_free(bio);
	if (text->ptr != NULL)
		OPENSSL_cleanse(text->ptr, text->len);
	buf_fini(text);
}

/* Is what stopped the reading of one PEM block after the other just the end of the file? */
static bool at_end(void)
{
	unsigned long code = ERR_peek_last_error();
	bool end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
	if (end)
		ERR_clear_error();
	return end;
}

/* The first certificate is ours, the others its chain. */
static enum err load_chain(struct loader *loader, SSL_CTX *ctx, const char *path)
{
	struct buf text;
	BIO *bio = open_file(loader, path, &text);
	if (bio == NULL)
		return ERR_INVALID;
	X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, give_password, NULL);
	bool ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;
	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, give_password, NULL)) != NULL) {
		ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
		if (!ok)
			X509_free(cert);
	}
	ok = ok && at_end();
	close_file(bio, &text);
	return ok ? OK : refuse(loader, "cannot use the certificate", path);
}

static enum err load_key(struct loader *loader, SSL_CTX *ctx, const char *path, const char *password)
{
	struct buf text;
	BIO *bio = open_file(loader, path, &text);
	if (bio == NULL)
		return ERR_INVALID;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_password, (void *)(uintptr_t)password);
	bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	close_file(bio, &text);
	return ok ? OK : refuse(loader, "cannot use the key", path);
}

/* Adds all certificates and revocation lists of a file to those that are trusted. */
static enum err load_trusted(struct loader *loader, SSL_CTX *ctx, const char *path, bool names)
{
	struct buf text;
	unsigned count = 0;
	BIO *bio = open_file(loader, path, &text);
	if (bio == NULL)
		return ERR_INVALID;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(bio, NULL, give_password, NULL);
	bool ok = all != NULL;
	for (int i = 0; ok && i < sk_X509_INFO_num(all); i++) {
		const X509_INFO *info = sk_X509_INFO_value(all, i);
		if (info->x509 != NULL) {
			ok = X509_STORE_add_cert(store, info->x509) == 1 &&
			    (!names || SSL_CTX_add_client_CA(ctx, info->x509) == 1);
			count++;
		}
		if (ok && info->crl != NULL)
			ok = X509_STORE_add_crl(store, info->crl) == 1 &&
			    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
	}
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	close_file(bio, &text);
	if (ok && count == 0 && names)
		return refuse(loader, "no certificate in", path);
	return ok ? OK : refuse(loader, "cannot use the CA certificates of", path);
}

struct directory_walk {
	struct loader *loader;
	SSL_CTX       *ctx;
	enum err       err;
};

static void on_entry(void *ctx, const char *name, uint64_t bytes)
{
	char path[1024];
	struct directory_walk *walk = ctx;
	const char *dir = walk->loader->options->ca_cert_dir;
	if (walk->err != OK || bytes == 0 || bytes > TLS_FILE_BYTES_MAX || name[0] == '.')
		return;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path))
		walk->err = load_trusted(walk->loader, walk->ctx, path, false);
}

static enum err load_cas(struct loader *loader, SSL_CTX *ctx)
{
	const struct tls_options *options = loader->options;
	if (is_set(options->ca_cert_file)) {
		enum err err = load_trusted(loader, ctx, options->ca_cert_file, true);
		if (err != OK)
			return err;
	}
	if (!is_set(options->ca_cert_dir))
		return OK;
	struct directory_walk walk = {.loader = loader, .ctx = ctx};
	enum err err = io_list_directory(loader->tls->io, options->ca_cert_dir, on_entry, &walk);
	if (err != OK)
		return refuse(loader, "cannot read the directory", options->ca_cert_dir);
	return walk.err;
}

/* "TLSv1.2 TLSv1.3" in any order; what is older than 1.2 is refused. */
static enum err set_protocols(struct loader *loader, SSL_CTX *ctx)
{
	bool has12 = false, has13 = false;
	const char *at = loader->options->protocols == NULL ? "" : loader->options->protocols;
	while (*at != 0) {
		size_t len = strcspn(at, " ,");
		if (len > 0 && span_is(span_of(at, len), "TLSv1.2"))
			has12 = true;
		else if (len > 0 && span_is(span_of(at, len), "TLSv1.3"))
			has13 = true;
		else if (len > 0)
			return refuse(loader, "protocols are TLSv1.2 and TLSv1.3, not", at);
		at += len + (at[len] != 0);
	}
	if (!has12)
		has13 = true;
	int low = has12 ? TLS1_2_VERSION : TLS1_3_VERSION;
	int high = has13 ? TLS1_3_VERSION : TLS1_2_VERSION;
	if (SSL_CTX_set_min_proto_version(ctx, low) != 1 || SSL_CTX_set_max_proto_version(ctx, high) != 1)
		return refuse(loader, "cannot use the protocols", loader->options->protocols);
	return OK;
}

static enum err set_ciphers(struct loader *loader, SSL_CTX *ctx)
{
	const struct tls_options *options = loader->options;
	if (is_set(options->ciphers) && SSL_CTX_set_cipher_list(ctx, options->ciphers) != 1)
		return refuse(loader, "cannot use the ciphers", options->ciphers);
	if (is_set(options->ciphersuites) && SSL_CTX_set_ciphersuites(ctx, options->ciphersuites) != 1)
		return refuse(loader, "cannot use the ciphersuites", options->ciphersuites);
	return OK;
}

/* What both contexts have in common. NULL: `why` says it. */
static SSL_CTX *context_new(struct loader *loader, const SSL_METHOD *method)
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(method);
	ASSERT(ctx != NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	if (set_protocols(loader, ctx) == OK && set_ciphers(loader, ctx) == OK &&
	    load_cas(loader, ctx) == OK)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static enum err load_pair(struct loader *loader, SSL_CTX *ctx, bool connecting)
{
	const struct tls_options *options = loader->options;
	bool own = connecting && is_set(options->client_cert_file);
	const char *cert = own ? options->client_cert_file : options->cert_file;
	const char *key = own ? options->client_key_file : options->key_file;
	const char *password = own ? options->client_key_file_pass : options->key_file_pass;
	if (!is_set(cert) && !is_set(key))
		return OK;
	if (!is_set(cert) || !is_set(key))
		return refuse(loader, "a certificate and its key go together", cert);
	enum err err = load_chain(loader, ctx, cert);
	return err != OK ? err : load_key(loader, ctx, key, password);
}

static enum err set_dh_params(struct loader *loader, SSL_CTX *ctx)
{
	struct buf text;
	const char *path = loader->options->dh_params_file;
	if (!is_set(path)) {
		SSL_CTX_set_dh_auto(ctx, 1);
		return OK;
	}
	BIO *bio = open_file(loader, path, &text);
	if (bio == NULL)
		return ERR_INVALID;
	EVP_PKEY *params = PEM_read_bio_Parameters(bio, NULL);
	bool ok = params != NULL && SSL_CTX_set0_tmp_dh_pkey(ctx, params) == 1;
	if (!ok)
		EVP_PKEY_free(params);
	close_file(bio, &text);
	return ok ? OK : refuse(loader, "cannot use the DH parameters", path);
}

static void set_sessions(const struct tls_options *options, SSL_CTX *ctx)
{
	static const unsigned char name[] = "tintype";
	SSL_CTX_set_session_id_context(ctx, name, sizeof(name) - 1);
	if (!options->session_caching) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
	SSL_CTX_sess_set_cache_size(ctx, options->session_cache_size);
	SSL_CTX_set_timeout(ctx, (long)options->session_cache_timeout_s);
	SSL_CTX_set_num_tickets(ctx, 1);
}

/* *out stays NULL without a certificate: such a server can only connect. */
static enum err make_accepting(struct loader *loader, SSL_CTX **out)
{
	static const int verify[] = {
	    [TLS_PEER_NONE] = SSL_VERIFY_NONE,
	    [TLS_PEER_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	    [TLS_PEER_OPTIONAL] = SSL_VERIFY_PEER,
	};
	const struct tls_options *options = loader->options;
	*out = NULL;
	if (!is_set(options->cert_file) && !is_set(options->key_file))
		return OK;
	SSL_CTX *ctx = context_new(loader, TLS_server_method());
	if (ctx == NULL)
		return ERR_INVALID;
	enum err err = load_pair(loader, ctx, false);
	if (err == OK)
		err = set_dh_params(loader, ctx);
	if (err == OK && options->clients != TLS_PEER_NONE && !is_set(options->ca_cert_file) &&
	    !is_set(options->ca_cert_dir))
		err = refuse(loader, "to check certificates of clients (tls-auth-clients) takes "
		    "tls-ca-cert-file or tls-ca-cert-dir", NULL);
	if (err != OK) {
		SSL_CTX_free(ctx);
		return err;
	}
	SSL_CTX_set_verify(ctx, verify[options->clients], NULL);
	if (options->prefer_server_ciphers)
		SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	set_sessions(options, ctx);
	*out = ctx;
	return OK;
}

static enum err make_connecting(struct loader *loader, SSL_CTX **out)
{
	*out = context_new(loader, TLS_client_method());
	if (*out == NULL)
		return ERR_INVALID;
	enum err err = load_pair(loader, *out, true);
	if (err != OK) {
		SSL_CTX_free(*out);
		*out = NULL;
		return err;
	}
	SSL_CTX_set_verify(*out, SSL_VERIFY_PEER, NULL);
	return OK;
}

/* Unix time at which the certificate ends; 0: there is none. */
static int64_t expiry_of(SSL_CTX *ctx)
{
	int days = 0, seconds = 0;
	const X509 *cert = ctx == NULL ? NULL : SSL_CTX_get0_certificate(ctx);
	ASN1_TIME *epoch = cert == NULL ? NULL : ASN1_TIME_set(NULL, 0);
	if (epoch == NULL)
		return 0;
	bool ok = ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert)) == 1;
	ASN1_TIME_free(epoch);
	return ok ? (int64_t)days * 86400 + seconds : 0;
}

enum err tls_configure(struct tls *tls, const struct tls_options *options, char why[TLS_WHY_MAX])
{
	SSL_CTX *accepting = NULL, *connecting = NULL;
	struct loader loader = {.tls = tls, .options = options, .why = why};
	tls_check(tls);
	ASSERT(options != NULL && why != NULL);
	why[0] = 0;
	enum err err = make_accepting(&loader, &accepting);
	if (err == OK)
		err = make_connecting(&loader, &connecting);
	if (err != OK) {
		SSL_CTX_free(accepting);
		return err;
	}
	SSL_CTX_free(tls->accepting);
	SSL_CTX_free(tls->connecting);
	tls->accepting = accepting;
	tls->connecting = connecting;
	tls->rekey_bytes = options->rekey_bytes != 0 ? options->rekey_bytes : TLS_REKEY_BYTES;
	tls->stats.expires_s = expiry_of(accepting);
	tls->stats.loads++;
	return OK;
}

bool tls_can_accept(const struct tls *tls)
{
	tls_check(tls);
	return tls->accepting != NULL;
}

void tls_get_stats(const struct tls *tls, struct tls_stats *out)
{
	tls_check(tls);
	*out = tls->stats;
}

/* ---- OpenSSL's view of a stream: two heaps of bytes ---------------------------------- */

static int bio_read(BIO *bio, char *to, int len)
{
	BIO_clear_retry_flags(bio);
	size_t count = len <= 0 ? 0 : tls_input_take(BIO_get_data(bio), to, (size_t)len);
	if (count > 0)
		return (int)count;
	BIO_set_retry_read(bio);
	return -1;
}

static int bio_write(BIO *bio, const char *from, int len)
{
	BIO_clear_retry_flags(bio);
	if (len > 0)
		tls_output_put(BIO_get_data(bio), from, (size_t)len);
	return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
	UNUSED(bio);
	UNUSED(number);
	UNUSED(ptr);
	return command == BIO_CTRL_FLUSH;
}

struct tls *tls_new(struct io *io, struct log *log)
{
	struct memory boot = {0};
	struct tls *tls = memory_zalloc(&boot, sizeof(*tls));
	tls->magic = TLS_MAGIC;
	tls->memory = boot;
	tls->io = io;
	tls->log = log;
	tls->budget_us = TLS_HANDSHAKE_US_PER_PASS;
	tls->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	ASSERT(tls->bio != NULL);
	BIO_meth_set_read(tls->bio, bio_read);
	BIO_meth_set_write(tls->bio, bio_write);
	BIO_meth_set_ctrl(tls->bio, bio_ctrl);
	return tls;
}

void tls_free(struct tls *tls)
{
	tls_check(tls);
	ASSERT(tls->stats.open == 0);
	SSL_CTX_free(tls->accepting);
	SSL_CTX_free(tls->connecting);
	BIO_meth_free(tls->bio);
	struct memory boot = tls->memory;
	DROP_OBJ(tls, TLS_MAGIC);
	memory_free(&boot, tls, sizeof(*tls));
}
