/* tests/fuzz/fuzz_manifest.c: a checkpoint's manifest, whatever its bytes are. With the first
 * byte odd its checksum and identity are made good, so that the fuzzer gets past them. */
#include "base/buf.h"
#include "base/crc32c.h"
#include "store/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct store_id store = {{1, 2, 3}};

static void fuzz_use(const struct manifest *manifest)
{
	for (uint32_t i = 0; i < manifest_segment_count(manifest); i++) {
		struct manifest_segment one = manifest_segment_at(manifest, i), found;
		if (!manifest_find_segment(manifest, one.id, &found) || found.nonce != one.nonce)
			abort();              /* ids ascend */
	}
	for (uint32_t i = 0; i < manifest->header.chunk_count; i++) {
		struct manifest_chunk chunk = manifest_chunk_at(manifest, i);
		if (chunk.db >= CHUNK_SETS ||
		    chunk.offset + chunk.bytes > manifest->header.file_bytes)
			abort();
	}
}

static void fuzz_repair(uint8_t *bytes, size_t size)
{
	struct manifest_header header;
	memcpy(&header, bytes, sizeof(header));
	header.magic = MANIFEST_MAGIC;
	header.version = MANIFEST_VERSION;
	header.slot = 0;
	header.store = store;
	header.bytes = size;
	memcpy(bytes, &header, sizeof(header));
	size_t from = offsetof(struct manifest_header, version);
	uint32_t crc = crc32c(0, span_of(bytes + from, size - from));
	memcpy(bytes + offsetof(struct manifest_header, crc), &crc, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest manifest;
	if (size < 2)
		return 0;
	uint8_t *copy = malloc(size - 1);
	if (copy == NULL)
		abort();
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & 1) != 0 && size - 1 >= sizeof(struct manifest_header))
		fuzz_repair(copy, size - 1);
	if (manifest_parse(span_of(copy, size - 1), &store, 0, &manifest) == OK)
		fuzz_use(&manifest);
	free(copy);
	return 0;
}
