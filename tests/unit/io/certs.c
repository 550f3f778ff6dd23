/* tests/unit/io/certs.c: see certs.h. */
#include "certs.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>

static void save_bio(struct rig *rig, const char *name, const char *ending, BIO *bio)
{
	char file[64], *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	snprintf(file, sizeof(file), "%s%s", name, ending);
	cr_assert_eq(io_save_file(rig->io, rig_path(rig, file), span_of(bytes, (size_t)len)), OK);
	BIO_free(bio);
}

static BIO *load_bio(struct rig *rig, const char *name, const char *ending, struct buf *text)
{
	char file[64];
	snprintf(file, sizeof(file), "%s%s", name, ending);
	buf_init(text, &rig->memory);
	cr_assert_eq(io_load_file(rig->io, rig_path(rig, file), 1 << 20, text), OK);
	return BIO_new_mem_buf(text->ptr, (int)text->len);
}

static void add_extension(X509 *cert, int kind, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
	cr_assert(extension != NULL);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

/* Signs `cert` with `key`, or with the CA's if there is one. */
static void sign(struct rig *rig, X509 *cert, EVP_PKEY *key, const char *issuer)
{
	struct buf text;
	if (issuer == NULL) {
		cr_assert(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1);
		cr_assert(X509_sign(cert, key, EVP_sha256()) > 0);
		return;
	}
	BIO *bio = load_bio(rig, issuer, ".crt", &text);
	X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	buf_fini(&text);
	bio = load_bio(rig, issuer, ".key", &text);
	EVP_PKEY *ca_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	buf_fini(&text);
	cr_assert(ca != NULL && ca_key != NULL);
	cr_assert(X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1);
	cr_assert(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
}

void certs_make(struct rig *rig, const struct cert_wish *wish)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	cr_assert(key != NULL && cert != NULL);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)(uintptr_t)cert & 0x7fffffff);
	X509_gmtime_adj(X509_getm_notBefore(cert), -20 * 86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), (wish->days == 0 ? 10L : wish->days) * 86400);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)wish->name, -1, -1, 0);
	if (wish->issuer == NULL)
		add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (wish->san != NULL)
		add_extension(cert, NID_subject_alt_name, wish->san);
	sign(rig, cert, key, wish->issuer);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	save_bio(rig, wish->name, ".crt", bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, wish->password == NULL ? NULL : EVP_aes_256_cbc(), NULL, 0,
	    NULL, (void *)(uintptr_t)wish->password);
	save_bio(rig, wish->name, ".key", bio);
	X509_free(cert);
	EVP_PKEY_free(key);
}

struct tls_options certs_options(struct rig *rig)
{
	return (struct tls_options){
		.cert_file = rig_path(rig, "server.crt"), .key_file = rig_path(rig, "server.key"),
		.ca_cert_file = rig_path(rig, "ca.crt"), .clients = TLS_PEER_REQUIRED,
		.session_caching = true, .session_cache_size = 100, .session_cache_timeout_s = 300,
	};
}

struct tls *certs_tls(struct rig *rig)
{
	char why[TLS_WHY_MAX];
	certs_make(rig, &(struct cert_wish){.name = "ca"});
	certs_make(rig, &(struct cert_wish){
	    .name = "server", .issuer = "ca", .san = "DNS:localhost,IP:127.0.0.1"});
	struct tls *tls = tls_new(rig->io, NULL);
	struct tls_options options = certs_options(rig);
	cr_assert_eq(tls_configure(tls, &options, why), OK, "%s", why);
	return tls;
}
