/* tests/unit/io/certs.h: certificates for tests, made on the spot into the rig's directory. */
#pragma once
#include "rig.h"

#include "io/tls.h"

/* Makes NAME.crt and NAME.key (P-256). issuer NULL: a CA that signs itself; else the name of
 * a CA that was made before. `san` as OpenSSL writes it ("DNS:a,IP:127.0.0.1"), or NULL.
 * `password` encrypts the key; NULL: it is in the clear. */
struct cert_wish {
	const char *name, *issuer, *san, *password;
	int         days;                 /* it is valid for; 0: 10 */
};
void certs_make(struct rig *rig, const struct cert_wish *wish);

/* A CA "ca", a certificate "server" of it for localhost and 127.0.0.1, and a tls that uses
 * them for both sides. */
struct tls *certs_tls(struct rig *rig);
/* The options that certs_tls used; paths are good until the next call. */
struct tls_options certs_options(struct rig *rig);
