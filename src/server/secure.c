/* server/secure.c: the settings of TLS become certificates in use. */
#include "server/server.h"

#include <stdio.h>

static struct tls_options options_of(const struct settings *settings)
{
	return (struct tls_options){
		.cert_file = settings->tls_cert_file,
		.key_file = settings->tls_key_file,
		.key_file_pass = settings->tls_key_file_pass,
		.client_cert_file = settings->tls_client_cert_file,
		.client_key_file = settings->tls_client_key_file,
		.client_key_file_pass = settings->tls_client_key_file_pass,
		.ca_cert_file = settings->tls_ca_cert_file,
		.ca_cert_dir = settings->tls_ca_cert_dir,
		.dh_params_file = settings->tls_dh_params_file,
		.protocols = settings->tls_protocols,
		.ciphers = settings->tls_ciphers,
		.ciphersuites = settings->tls_ciphersuites,
		.prefer_server_ciphers = settings->tls_prefer_server_ciphers,
		.session_caching = settings->tls_session_caching,
		.session_cache_size = settings->tls_session_cache_size,
		.session_cache_timeout_s = settings->tls_session_cache_timeout_s,
		.clients = (enum tls_peer)settings->tls_auth_clients,
	};
}

enum err server_secure(
    struct server *server, const struct settings *settings, char *why, size_t why_bytes)
{
	char text[TLS_WHY_MAX];
	struct tls_stats stats;
	ASSERT(server->tls != NULL);
	ASSERT(why != NULL && why_bytes > 0);
	why[0] = 0;
	if (settings->tls_port == 0 && !settings->tls_replication)
		return OK;                /* files of which nobody makes use need not be there */
	bool lacks = settings->tls_cert_file[0] == 0 || settings->tls_key_file[0] == 0;
	if (settings->tls_port != 0 && lacks) {
		snprintf(why, why_bytes, "tls-port takes tls-cert-file and tls-key-file");
		return ERR_INVALID;
	}
	if (settings->tls_replication && settings->tls_ca_cert_file[0] == 0 &&
	    settings->tls_ca_cert_dir[0] == 0) {
		snprintf(why, why_bytes, "tls-replication takes tls-ca-cert-file or tls-ca-cert-dir");
		return ERR_INVALID;
	}
	struct tls_options options = options_of(settings);
	enum err err = tls_configure(server->tls, &options, text);
	if (err != OK) {
		snprintf(why, why_bytes, "%s", text);
		return err;
	}
	tls_get_stats(server->tls, &stats);
	log_notice(server->log, "TLS: certificates are loaded; %s",
	    stats.expires_s == 0 ? "there is none of our own" : settings->tls_cert_file);
	return OK;
}
