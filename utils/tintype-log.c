/* utils/tintype-log.c: prints and verifies a data directory, offline.
 *
 *   tintype-log DIR... [--verify] [--key K] [--json]
 *
 * Without options: every segment, batch and record. --key shows the records of one key only.
 * --json prints one object a line instead. --verify checks the bodies too and prints only
 * what is wrong, and a summary. A directory is a hot or a warm one; give both for one verdict.
 * Exit status: 0 all is well, 1 something is corrupt, 2 it could not be read. A torn tail,
 * which nobody was ever told of, is not corruption.
 *
 * The parsing code is the server's own. Nothing is written.
 */
#include "base/buf.h"
#include "io/io.h"
#include "store/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 65536, PATH_BYTES = 1024 };

struct file {
	char                  path[PATH_BYTES];
	struct segment_header header;
	enum err              err;        /* of the header */
	uint64_t              end;        /* told by a later segment */
	uint32_t              end_told_by;
	uint32_t stream;                  /* enum log_stream; STREAM_COUNT: not known */
};

struct tool {
	struct io      *io;
	struct memory   memory;
	const char     *dir;              /* being listed */
	struct file    *files;
	uint32_t        count, cap;
	struct position durable[STREAM_COUNT];
	uint64_t        durable_lsn;
	bool            verify, json, with_key;
	struct span     key;
	uint64_t        records, batches, bytes, corrupt, torn;
};

static const char *type_name(uint8_t type)
{
	static const char *const names[RECORD_TYPE_COUNT] = {
	    "?",
	    "IMAGE",
	    "META",
	    "VALUE",
	    "LINK",
	    "EXPIRE",
	    "DELETE",
	    "FLUSH",
	    "SETTING",
	    "PART",
	    "VOID",
	    "END",
	    "CHANGE",
	};
	_Static_assert(ARRAY_COUNT(names) == RECORD_CHANGE + 1, "each type has a name");
	return type < RECORD_TYPE_COUNT ? names[type] : names[0];
}

/* Printable as it is, the rest as \xHH; fit for JSON with `json`. */
static void print_text(struct span text, bool json)
{
	putchar('"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			putchar(c);
		else
			printf(json ? "\\u00%02x" : "\\x%02x", c);
	}
	putchar('"');
}

/* ---- Finding the segments ---- */

static void tool_listed(void *ctx, const char *name, uint64_t bytes)
{
	struct tool *tool = ctx;
	size_t len = strlen(name);
	UNUSED(bytes);
	if (len < 5 || strcmp(name + len - 4, ".seg") != 0 || tool->count == FILES_MAX)
		return;
	if (tool->count == tool->cap) {
		uint32_t cap = tool->cap == 0 ? 64 : 2 * tool->cap;
		tool->files = memory_resize(&tool->memory, tool->files,
		    tool->cap * sizeof(*tool->files), cap * sizeof(*tool->files));
		tool->cap = cap;
	}
	struct file *file = &tool->files[tool->count++];
	*file = (struct file){.end = UINT64_MAX, .stream = STREAM_COUNT};
	snprintf(file->path, sizeof(file->path), "%s/%s", tool->dir, name);
}

static int file_compare(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	if (x->header.segment != y->header.segment)
		return x->header.segment < y->header.segment ? -1 : 1;
	return strcmp(x->path, y->path);
}

static bool tool_load(struct tool *tool, const struct file *file, struct buf *out)
{
	buf_clear(out);
	enum err err = io_load_file(tool->io, file->path, RECORD_BODY_MAX, out);
	if (err != OK)
		fprintf(stderr, "%s: %s\n", file->path, err_name(err));
	return err == OK;
}

static void file_read_header(struct file *file, struct span bytes)
{
	file->err = segment_header_parse(bytes, &file->header);
	if (file->err != OK && bytes.len >= SECTOR)
		file->err = segment_header_parse(
		    span_slice(bytes, bytes.len - SECTOR, SECTOR), &file->header);
	if (file->err == OK && file->header.bytes > bytes.len)
		file->err = ERR_CORRUPT;
}

/* ---- First walk: how far the log vouches for itself ---- */

static void learn_commit(struct tool *tool, const struct commit_block *commit)
{
	struct position *durable = &tool->durable[commit->stream];
	tool->durable_lsn =
	    commit->durable_lsn > tool->durable_lsn ? commit->durable_lsn : tool->durable_lsn;
	if (commit->durable_segment > durable->segment ||
	    (commit->durable_segment == durable->segment &&
	        commit->durable_sector > durable->sector))
		*durable = (struct position){commit->durable_segment, commit->durable_sector};
	for (uint32_t i = 0; i < COMMIT_ENDED; i++) {
		for (uint32_t f = 0; f < tool->count && commit->ended[i].segment != 0; f++) {
			struct file *file = &tool->files[f];
			if (file->err != OK || file->header.segment != commit->ended[i].segment ||
			    file->end_told_by > commit->segment)
				continue;
			file->stream = commit->stream;
			file->end = (uint64_t)commit->ended[i].sector * SECTOR;
			file->end_told_by = commit->segment;
		}
	}
}

static void tool_learn(struct tool *tool, struct file *file, struct span bytes)
{
	struct scan scan;
	enum scan_step step = SCAN_RECORD;
	scan_init(&scan, file->header.segment, file->header.nonce, file->header.bytes);
	while (step != SCAN_END && step != SCAN_MORE) {
		struct span rest = span_slice(bytes, (size_t)scan.at, bytes.len);
		step = scan_next(&scan, rest);
		if (step == SCAN_COMMIT) {
			learn_commit(tool, &scan.commit);
			file->stream = scan.commit.stream;
		} else if (step == SCAN_BAD) {
			scan_skip(&scan, rest);
		}
	}
}

/* ---- Second walk: printing and judging ---- */

static bool is_durable(const struct tool *tool, const struct file *file, uint64_t offset)
{
	if (offset >= file->end || file->stream == STREAM_COUNT)
		return false;
	const struct position *durable = &tool->durable[file->stream];
	if (file->header.segment != durable->segment)
		return file->header.segment < durable->segment;
	return offset < (uint64_t)durable->sector * SECTOR;
}

static void show_record(const struct tool *tool, const struct scan *scan, bool good)
{
	const struct record_header *header = &scan->view.header;
	const char *state = good ? "" : " CORRUPT BODY";
	if (tool->json) {
		printf("{\"segment\":%u,\"offset\":%" PRIu64 ",\"lsn\":%" PRIu64 ",\"type\":\"%s\","
		       "\"db\":%u,\"flags\":%u,\"refers\":%" PRIu64 ",\"expire_ms\":%" PRId64
		       ",\"time_ms\":%" PRId64
		       ",\"meta_bytes\":%u,\"body_bytes\":%u,\"good\":%s,\"key\":",
		    scan->stamp.segment, scan->record_at, header->lsn, type_name(header->type),
		    header->db, header->flags, header->refers, header->expire_ms, header->time_ms,
		    header->meta_bytes, header->body_bytes, good ? "true" : "false");
		print_text(scan->view.key, true);
		printf("}\n");
		return;
	}
	printf("    @%-10" PRIu64 " lsn %-10" PRIu64 " %-7s db %u ", scan->record_at, header->lsn,
	    type_name(header->type), header->db);
	print_text(scan->view.key, false);
	printf(" meta %u body %u", header->meta_bytes, header->body_bytes);
	if (header->refers != 0)
		printf(" refers %" PRIu64, header->refers);
	if (header->expire_ms != 0)
		printf(" expires %" PRId64, header->expire_ms);
	if (header->flags & RECORD_CONTINUES)
		printf(" continues");
	if (header->flags & RECORD_CHAINED)
		printf(" chained");
	printf("%s\n", state);
}

static void walk_record(struct tool *tool, const struct file *file, const struct scan *scan,
    struct span bytes)
{
	struct span body = span_slice(bytes,
	    (size_t)scan->record_at + scan->view.layout.body_at, scan->view.header.body_bytes);
	bool good = body.len == scan->view.header.body_bytes &&
	    record_check_chunks(scan->view.crcs, 0, body);
	tool->records++;
	tool->bytes += scan->view.layout.bytes;
	bool shown = !tool->with_key || span_equal(tool->key, scan->view.key);
	if (!good && is_durable(tool, file, scan->record_at)) {
		tool->corrupt++;
		if (tool->verify && !tool->json)
			printf("%s:\n", file->path);
		show_record(tool, scan, false);
	} else if (shown && !tool->verify) {
		show_record(tool, scan, good);
	}
}

static void walk_commit(struct tool *tool, const struct scan *scan)
{
	const struct commit_block *commit = &scan->commit;
	tool->batches++;
	if (tool->verify || tool->with_key || tool->json)
		return;
	printf("  batch @%-9" PRIu64 " %u records, lsn %" PRIu64 " to %" PRIu64
	       ", durable %" PRIu64 "%s\n",
	    (uint64_t)commit->batch_sector * SECTOR, commit->count, commit->first_lsn,
	    commit->last_lsn, commit->durable_lsn,
	    (commit->flags & COMMIT_SEAL) != 0 ? ", sealed" : "");
}

/* True: look on behind it. */
static bool walk_bad(struct tool *tool, const struct file *file, const struct scan *scan,
    bool first)
{
	if (!is_durable(tool, file, scan->at)) {
		if (!tool->verify && !tool->json && !tool->with_key)
			printf("  end of the log @%" PRIu64 "\n", scan->at);
		return false;
	}
	if (first) {
		tool->corrupt++;
		if (tool->json)
			printf("{\"segment\":%u,\"offset\":%" PRIu64 ",\"good\":false}\n",
			    file->header.segment, scan->at);
		else
			printf("%s: corrupt @%" PRIu64 "\n", file->path, scan->at);
	}
	return true;
}

static void tool_walk(struct tool *tool, const struct file *file, struct span bytes)
{
	struct scan scan;
	bool bad = false;
	if (!tool->verify && !tool->json && !tool->with_key)
		printf("segment %08u %s, %" PRIu64 " bytes, nonce %08x\n", file->header.segment,
		    file->path, file->header.bytes, file->header.nonce);
	scan_init(&scan, file->header.segment, file->header.nonce, file->header.bytes);
	for (;;) {
		struct span rest = span_slice(bytes, (size_t)scan.at, bytes.len);
		enum scan_step step = scan_next(&scan, rest);
		if (step == SCAN_RECORD) {
			walk_record(tool, file, &scan, bytes);
			bad = false;
		} else if (step == SCAN_COMMIT) {
			walk_commit(tool, &scan);
			bad = false;
		} else if (step == SCAN_BAD) {
			if (!walk_bad(tool, file, &scan, !bad))
				return;
			bad = true;
			scan_skip(&scan, rest);
		} else {
			return;
		}
	}
}

static int tool_run(struct tool *tool)
{
	struct buf buf;
	bool unreadable = false;
	buf_init(&buf, &tool->memory);
	for (uint32_t i = 0; i < tool->count; i++) {
		if (tool_load(tool, &tool->files[i], &buf))
			file_read_header(&tool->files[i], buf_span(&buf));
		else
			unreadable = true;
	}
	if (tool->count > 0)
		qsort(tool->files, tool->count, sizeof(*tool->files), file_compare);
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < tool->count && !unreadable; i++) {
			struct file *file = &tool->files[i];
			if (file->err != OK && pass == 0) {
				printf("%s: %s\n", file->path, err_name(file->err));
				tool->corrupt += file->err == ERR_CORRUPT;
			}
			if (file->err != OK || !tool_load(tool, file, &buf))
				continue;
			if (pass == 0)
				tool_learn(tool, file, buf_span(&buf));
			else
				tool_walk(tool, file, buf_span(&buf));
		}
	}
	buf_fini(&buf);
	if (!tool->json)
		printf("%u segments, %" PRIu64 " batches, %" PRIu64 " records, %" PRIu64
		       " bytes, durable up to LSN %" PRIu64 ", %" PRIu64 " corrupt\n",
		    tool->count, tool->batches, tool->records, tool->bytes, tool->durable_lsn,
		    tool->corrupt);
	return unreadable ? 2 : tool->corrupt > 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: tintype-log DIR... [--verify] [--key K] [--json]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct tool tool = {0};
	struct io_options options = {.backend = IO_AUTO};
	int dirs = 0, status = 2;
	if (io_new(&tool.io, &options) != OK)
		return 2;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verify") == 0) {
			tool.verify = true;
		} else if (strcmp(argv[i], "--json") == 0) {
			tool.json = true;
		} else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc) {
			tool.with_key = true;
			tool.key = span_text(argv[++i]);
		} else if (argv[i][0] == '-') {
			dirs = 0;
			break;
		} else {
			dirs++;
			tool.dir = argv[i];
			enum err err = io_list_directory(tool.io, tool.dir, tool_listed, &tool);
			if (err != OK) {
				fprintf(stderr, "%s: %s\n", tool.dir, err_name(err));
				dirs = -1;
				break;
			}
		}
	}
	if (dirs > 0)
		status = tool_run(&tool);
	else if (dirs == 0)
		status = usage();
	memory_free(&tool.memory, tool.files, tool.cap * sizeof(*tool.files));
	io_free(tool.io);
	return status;
}
