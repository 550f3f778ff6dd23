/* base/digest.c: content digests over pieces. Apart from hash.c, because programs that only print
 * digests do not link xxHash. */
#include "base/hash.h"

#if defined(__x86_64__)
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h>
#endif

void digest_begin(XXH3_state_t *state)
{
	XXH3_INITSTATE(state);
	XXH3_128bits_reset(state);
}

void digest_add(XXH3_state_t *state, struct span bytes)
{
	ASSERT(bytes.ptr != NULL || bytes.len == 0);
#if defined(__x86_64__)
	XXH3_128bits_update_dispatch(state, bytes.ptr, bytes.len);
#else
	XXH3_128bits_update(state, bytes.ptr, bytes.len);
#endif
}

struct digest digest_end(const XXH3_state_t *state)
{
	XXH128_canonical_t canonical;
	struct digest digest;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(digest.bytes, canonical.digest, sizeof(digest.bytes));
	return digest;
}
