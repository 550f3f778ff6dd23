/* bench/bench_search.c: the index alone, no server: N synthetic photographs, then queries of
 * each class of GOALS.md (Q1 to Q4, Q6 to Q8), against SQLite's FTS5 and Xapian in the same run.
 *
 *   bench_search [documents, default 1000000] [queries a class, default 100]
 *                [part of class name, default all] [peer queries a class, default 20; 0: no peer]
 *                [file: holds the index, made if it is not there; no peer; "": none]
 *                [file for what was found: a line a query with class, query, total, and key and
 *                score of each result; those of two builds must be equal]
 *
 * For 5 million documents: bench_search 5000000 100 "" 0.
 *
 * A document has 8 to 20 words (Zipf, from /usr/share/dict/words in seeded order) in title
 * and caption, 3 to 8 of 2,000 tags, camera, format, orientation, tier, nine numbers, two
 * dates, and half of the time a place. All is drawn from one seed. Queries run in slices of
 * 250 us; "slice" is the longest, "unit" the longest piece of work between two looks at the clock,
 * of which each was measured three times and the least taken: it is free of what the machine
 * does to others, of which the last line shows how much it is. The index is dumped and loaded
 * as a checkpoint does, and the queries run on what was loaded. Times are CPU time of the one
 * thread, since machines are shared. FTS5 holds the same words and tags in memory, without
 * content, and ranks by bm25; so does Xapian, in a directory that the system's cache holds.
 */
#include "base/buf.h"
#include "base/random.h"
#include "search/persist.h"

#include "xapian_peer.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VOCABULARY_MAX = 100000, TAGS = 2000, SAMPLES_MAX = 10000, TEXT_MAX = 1024,
	UNITS_MAX = 100000 };

struct bench {
	struct memory  memory;
	struct index  *index;
	struct random  random;
	char         **words;
	int            word_count;
	double        *word_zipf, *tag_zipf;      /* cumulative */
	double         slice_us, slice_us_max, add_us;      /* the longest; slice_us: of this class */
	double         unit_us, unit_us_max;
	double         blocks_read, blocks_skipped, windows;         /* of this class */
	const char    *only;
	sqlite3       *peer;
	sqlite3_stmt  *peer_add, *peer_meta;
	struct xapian_peer *xapian;
	int            peer_queries;
	double         ours_us, peer_us, xapian_us;         /* spent on adding */
	FILE          *found;             /* NULL, or where results are told */
	const char    *class_name;
};

static uint64_t clock_us(void *ctx)
{
	struct timespec now;
	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static double clock_exact_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double uniform(struct bench *bench)
{
	return (double)(random_next(&bench->random) >> 11) * 0x1p-53;
}

static int below(struct bench *bench, int bound)
{
	return (int)random_below(&bench->random, (uint64_t)bound);
}

static double *zipf_new(int count)
{
	double sum = 0, *zipf = malloc((size_t)count * sizeof(double));
	for (int i = 0; i < count; i++) {
		sum += 1 / (i + 2.7);
		zipf[i] = sum;
	}
	for (int i = 0; i < count; i++)
		zipf[i] /= sum;
	return zipf;
}

static int zipf_draw(struct bench *bench, const double *zipf, int count)
{
	double at = uniform(bench);
	int low = 0, high = count - 1;
	while (low < high) {
		int middle = (low + high) / 2;
		if (zipf[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Words of small letters, in an order that the seed shuffles. */
static void words_load(struct bench *bench)
{
	char line[128];
	FILE *file = fopen("/usr/share/dict/words", "r");
	if (file == NULL) {
		fprintf(stderr, "bench_search: /usr/share/dict/words is missing (wamerican)\n");
		exit(1);
	}
	bench->words = malloc(VOCABULARY_MAX * sizeof(char *));
	while (bench->word_count < VOCABULARY_MAX && fgets(line, sizeof(line), file) != NULL) {
		size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz");
		if (len < 3 || line[len] != '\n')
			continue;
		line[len] = 0;
		bench->words[bench->word_count++] = strdup(line);
	}
	fclose(file);
	for (int i = bench->word_count - 1; i > 0; i--) {
		int other = below(bench, i + 1);
		char *word = bench->words[i];
		bench->words[i] = bench->words[other];
		bench->words[other] = word;
	}
	bench->word_zipf = zipf_new(bench->word_count);
	bench->tag_zipf = zipf_new(TAGS);
}

/* One word or two; of the rarer words, as names are. */
static void tag_text(const struct bench *bench, int tag, char *out)
{
	const char *first = bench->words[3000 + tag];
	if (tag % 4 == 0)
		sprintf(out, "%s %s", first, bench->words[6000 + tag]);
	else
		strcpy(out, first);
}

/* ---- Documents ---------------------------------------------------------------------------- */

struct photo {
	char  title[TEXT_MAX], caption[TEXT_MAX], tags[8][64];
	int   tag_count, width, height;
	struct search_field fields[40];
	size_t count;
};

static void words_draw(struct bench *bench, int count, char *out)
{
	for (*out = 0; count > 0; count--) {
		out = stpcpy(out,
		    bench->words[zipf_draw(bench, bench->word_zipf, bench->word_count)]);
		out = stpcpy(out, count > 1 ? " " : "");
	}
}

static struct search_field *photo_field(struct photo *photo, const char *name, enum search_kind kind)
{
	struct search_field *field = &photo->fields[photo->count++];
	*field = (struct search_field){.name = span_text(name), .kind = kind};
	return field;
}

static void photo_numbers(struct bench *bench, struct photo *photo)
{
	static const char *const names[] = {"width", "height", "megapixels", "bytes", "frames",
	    "iso", "aperture", "exposure", "focal"};
	photo->width = 640 + below(bench, 80) * 64;
	photo->height = 480 + below(bench, 60) * 64;
	const double numbers[] = {photo->width, photo->height,
	    photo->width * photo->height / 1e6, 100000 + below(bench, 8000000), 1,
	    100 << below(bench, 7), 1.4 + below(bench, 20) / 10.0, 1.0 / (1 << below(bench, 12)),
	    14 + below(bench, 300)};
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		photo_field(photo, names[i], SEARCH_NUMERIC)->number = numbers[i];
	/* Cameras keep seconds; the server stamps milliseconds, in order of arrival. */
	int64_t taken = 1500000000 + (int64_t)random_below(&bench->random, 200000000);
	photo_field(photo, "taken", SEARCH_DATE)->date_ms = taken * 1000;
	struct index_stats stats;
	index_get_stats(bench->index, &stats);
	photo_field(photo, "created", SEARCH_DATE)->date_ms =
	    1700000000000 + (int64_t)stats.docids_used * 37 + below(bench, 30);
	if (below(bench, 2) == 1)
		return;
	struct search_field *place = photo_field(photo, "location", SEARCH_GEO);
	place->lon = uniform(bench) * 360 - 180;
	place->lat = uniform(bench) * 140 - 70;
}

static void photo_draw(struct bench *bench, struct photo *photo)
{
	static const char *const formats[] = {
	    "jpeg", "jpeg", "jpeg", "jpeg", "png", "webp", "avif"};
	static const char *const cameras[] = {"Canon EOS 5D", "Nikon D850", "Apple iPhone 15 Pro",
	    "Sony ILCE-7M4", "FUJIFILM X-T5", "Apple iPhone 13", "Pixel 8", "Canon EOS R6",
	    "OLYMPUS E-M1", "Leica Q2"};
	int words = 8 + below(bench, 13), title = 3 + below(bench, 4);
	photo->count = 0;
	words_draw(bench, title, photo->title);
	words_draw(bench, words - title, photo->caption);
	photo_field(photo, "title", SEARCH_TEXT)->text = span_text(photo->title);
	photo_field(photo, "caption", SEARCH_TEXT)->text = span_text(photo->caption);
	photo->tag_count = 3 + below(bench, 6);
	for (int i = 0; i < photo->tag_count; i++) {
		tag_text(bench, zipf_draw(bench, bench->tag_zipf, TAGS), photo->tags[i]);
		photo_field(photo, "tags", SEARCH_TAG)->text = span_text(photo->tags[i]);
	}
	const char *const names[] = {"format", "camera", "orientation", "tier"};
	const char *const values[] = {formats[below(bench, 7)], cameras[below(bench, 10)],
	    below(bench, 3) == 0 ? "portrait" : "landscape", "hot"};
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		photo_field(photo, names[i], SEARCH_TAG)->text = span_text(values[i]);
	photo_numbers(bench, photo);
}

/* ---- The peer ------------------------------------------------------------------------------- */

static void peer_run(struct bench *bench, const char *sql)
{
	char *error = NULL;
	if (sqlite3_exec(bench->peer, sql, NULL, NULL, &error) != SQLITE_OK) {
		fprintf(stderr, "sqlite: %s\n", error);
		exit(1);
	}
}

static void peer_open(struct bench *bench)
{
	sqlite3_open(":memory:", &bench->peer);
	peer_run(bench, "CREATE VIRTUAL TABLE f USING fts5(title, caption, tags, content='');"
	    "CREATE TABLE m(id INTEGER PRIMARY KEY, width INTEGER, format TEXT); BEGIN");
	sqlite3_prepare_v2(bench->peer, "INSERT INTO f(rowid, title, caption, tags) VALUES(?,?,?,?)",
	    -1, &bench->peer_add, NULL);
	sqlite3_prepare_v2(
	    bench->peer, "INSERT INTO m VALUES(?,?,?)", -1, &bench->peer_meta, NULL);
	bench->xapian = xapian_peer_open();
}

static void xapian_put(struct bench *bench, const struct photo *photo)
{
	char tags[TEXT_MAX], format[32], *out = tags;
	for (int i = 0; i < photo->tag_count; i++)
		out += sprintf(out, "%s, ", photo->tags[i]);
	struct span name = photo->fields[2 + photo->tag_count].text;
	snprintf(format, sizeof(format), "%.*s", (int)name.len, (const char *)name.ptr);
	const struct xapian_document document = {.title = photo->title, .caption = photo->caption,
	    .tags = tags, .format = format, .width = photo->width};
	double from = clock_exact_us();
	xapian_peer_add(bench->xapian, &document);
	bench->xapian_us += clock_exact_us() - from;
}

static double xapian_query(struct bench *bench, const char *match, bool filter)
{
	const struct xapian_query query = {.text = match, .format = filter ? "jpeg" : NULL,
	    .width_min = 1920, .width_max = filter ? 4000 : 0};
	double from = clock_exact_us();
	(void)xapian_peer_query(bench->xapian, &query);
	return clock_exact_us() - from;
}

static void peer_put(struct bench *bench, const struct photo *photo, int id)
{
	char tags[TEXT_MAX], *out = tags;
	for (int i = 0; i < photo->tag_count; i++)
		out += sprintf(out, "%s, ", photo->tags[i]);
	sqlite3_bind_int(bench->peer_add, 1, id);
	sqlite3_bind_text(bench->peer_add, 2, photo->title, -1, SQLITE_STATIC);
	sqlite3_bind_text(bench->peer_add, 3, photo->caption, -1, SQLITE_STATIC);
	sqlite3_bind_text(bench->peer_add, 4, tags, -1, SQLITE_STATIC);
	sqlite3_bind_int(bench->peer_meta, 1, id);
	sqlite3_bind_int(bench->peer_meta, 2, photo->width);
	struct span format = photo->fields[2 + photo->tag_count].text;
	sqlite3_bind_text(bench->peer_meta, 3, (const char *)format.ptr, (int)format.len,
	    SQLITE_STATIC);
	if (sqlite3_step(bench->peer_add) != SQLITE_DONE ||
	    sqlite3_step(bench->peer_meta) != SQLITE_DONE)
		abort();
	sqlite3_reset(bench->peer_add);
	sqlite3_reset(bench->peer_meta);
}

/* Time of one query there. The filter's range and format stand in `where`. */
static double peer_query(struct bench *bench, const char *match, const char *where)
{
	char sql[TEXT_MAX];
	sqlite3_stmt *statement;
	snprintf(sql, sizeof(sql), "SELECT f.rowid FROM f%s WHERE f MATCH ?%s ORDER BY %s LIMIT 10",
	    *where != 0 ? " JOIN m ON m.id = f.rowid" : "", where, *where != 0 ? "f.rank" : "rank");
	double from = clock_exact_us();
	if (sqlite3_prepare_v2(bench->peer, sql, -1, &statement, NULL) != SQLITE_OK) {
		fprintf(stderr, "sqlite: %s: %s\n", sqlite3_errmsg(bench->peer), sql);
		exit(1);
	}
	sqlite3_bind_text(statement, 1, match, -1, SQLITE_STATIC);
	while (sqlite3_step(statement) == SQLITE_ROW)
		;
	sqlite3_finalize(statement);
	return clock_exact_us() - from;
}

/* ---- Filling --------------------------------------------------------------------------------- */

static void fill(struct bench *bench, int docs)
{
	static struct photo photo;
	uint32_t docid;
	for (int i = 0; i < docs; i++) {
		photo_draw(bench, &photo);
		double from = clock_exact_us();
		if (index_add(bench->index, photo.fields, photo.count, bench, &docid) != OK)
			abort();
		double used = clock_exact_us() - from;
		bench->ours_us += used;
		bench->add_us = used > bench->add_us ? used : bench->add_us;
		if (bench->peer == NULL)
			continue;
		from = clock_exact_us();
		peer_put(bench, &photo, i + 1);
		bench->peer_us += clock_exact_us() - from;
		xapian_put(bench, &photo);
	}
	if (bench->peer == NULL)
		return;
	double from = clock_exact_us();
	peer_run(bench, "COMMIT");
	bench->peer_us += clock_exact_us() - from;
	from = clock_exact_us();
	xapian_peer_commit(bench->xapian);
	bench->xapian_us += clock_exact_us() - from;
}

/* ---- Dumps ------------------------------------------------------------------------------------ */

static void owner_write(void *ctx, uint32_t docid, void *owner, struct buf *out)
{
	(void)ctx;
	(void)docid;
	(void)owner;
	buf_append_u8(out, 0);
}

static bool owner_read(void *ctx, uint32_t docid, struct span *in)
{
	(void)ctx;
	(void)docid;
	if (in->len == 0)
		return false;
	*in = span_slice(*in, 1, in->len);
	return true;
}

static double dump(struct bench *bench, struct buf *out)
{
	const struct index_dump_owner owner = {.write = owner_write};
	double from = clock_exact_us();
	struct index_dump *made = index_dump_new(bench->index, &owner, 1);
	while (index_dump_step(made, out))
		;
	index_dump_free(made);
	return clock_exact_us() - from;
}

static double load(struct bench *bench, struct span bytes)
{
	const struct index_load_owner owner = {.read = owner_read};
	const struct index_options options = {.hash_seed = 1};
	double from = clock_exact_us();
	struct index_load *load = index_load_new(&bench->memory, &options, &owner);
	while (bytes.len > 0)
		if (index_load_step(load, &bytes) != OK)
			abort();
	bench->index = index_load_end(load);
	if (bench->index == NULL)
		abort();
	struct index_stats stats;
	index_get_stats(bench->index, &stats);
	for (uint32_t i = 0; i < stats.docids_used; i++)
		index_set_owner(bench->index, i, bench);
	return clock_exact_us() - from;
}

static void dump_and_load(struct bench *bench)
{
	struct buf out;
	buf_init(&out, &bench->memory);
	double dump_us = dump(bench, &out);
	index_free(bench->index);
	double load_us = load(bench, buf_span(&out));
	printf("dump: %.1f MB in %.0f ms; load: %.0f ms of CPU\n", (double)out.len / 1e6,
	    dump_us / 1e3, load_us / 1e3);
	buf_fini(&out);
}

static bool file_load(struct bench *bench, const char *path)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return false;
	struct buf in;
	buf_init(&in, &bench->memory);
	fseek(file, 0, SEEK_END);
	buf_reserve(&in, (size_t)ftell(file));
	rewind(file);
	in.len = fread(in.ptr, 1, in.cap, file);
	fclose(file);
	load(bench, buf_span(&in));
	buf_fini(&in);
	return true;
}

static void file_save(struct bench *bench, const char *path)
{
	struct buf out;
	buf_init(&out, &bench->memory);
	dump(bench, &out);
	FILE *file = fopen(path, "wb");
	if (file == NULL || fwrite(out.ptr, 1, out.len, file) != out.len || fclose(file) != 0)
		abort();
	buf_fini(&out);
}

/* ---- Queries ----------------------------------------------------------------------------------- */

static void found_tell(
    const struct bench *bench, struct span text, const struct search_results *results)
{
	fprintf(bench->found, "%s\t%.*s\t%lu%s", bench->class_name, (int)text.len,
	    (const char *)text.ptr, (unsigned long)results->total,
	    results->total_is_exact ? "" : "+");
	for (size_t i = 0; i < results->count; i++)
		fprintf(bench->found, "\t%u %.9g", results->hits[i].docid,
		    (double)results->hits[i].score);
	fprintf(bench->found, "\n");
}

/* One query to its end; returns its total, *us the time from bytes to results. */
static uint64_t query_run(struct bench *bench, struct span text,
    const struct search_options *options, double *us)
{
	struct query *query;
	struct query_error error;
	struct search *search;
	struct search_results results;
	double from = clock_exact_us();
	if (query_parse(&query, &bench->memory, text, NULL, &error) != OK) {
		fprintf(stderr, "%.*s: %s\n", (int)text.len, (const char *)text.ptr, error.text);
		exit(1);
	}
	if (search_start(&search, bench->index, query, options) != OK)
		abort();
	double begin = clock_exact_us();
	bench->slice_us = begin - from > bench->slice_us ? begin - from : bench->slice_us;
	for (enum err err = ERR_AGAIN; err == ERR_AGAIN;) {
		struct search_budget budget = {
		    .clock_us = clock_us, .deadline_us = clock_us(NULL) + 250};
		err = search_step(search, &budget);
		double end = clock_exact_us();
		bench->slice_us = end - begin > bench->slice_us ? end - begin : bench->slice_us;
		begin = end;
	}
	search_get_results(search, &results);
	*us = clock_exact_us() - from;
	uint64_t total = results.total;
	if (bench->found != NULL)
		found_tell(bench, text, &results);
	struct search_profile profile;
	search_get_profile(search, &profile);
	bench->blocks_read += (double)profile.blocks_read;
	bench->blocks_skipped += (double)profile.blocks_skipped;
	bench->windows += (double)profile.windows;
	search_free(search);
	query_free(query);
	return total;
}

/* Each unit of a query on its own; the least of three times. */
static void units_run(struct bench *bench, struct span text, const struct search_options *options)
{
	static double units[UNITS_MAX];
	struct query *query;
	struct query_error error;
	struct search *search;
	const struct search_budget budget = {.units = 1};
	for (int pass = 0; pass < 3; pass++) {
		if (query_parse(&query, &bench->memory, text, NULL, &error) != OK ||
		    search_start(&search, bench->index, query, options) != OK)
			abort();
		enum err err = ERR_AGAIN;
		for (int i = 0; i < UNITS_MAX && err == ERR_AGAIN; i++) {
			double from = clock_exact_us();
			err = search_step(search, &budget);
			double us = clock_exact_us() - from;
			units[i] = pass == 0 || us < units[i] ? us : units[i];
			if (pass == 2 && units[i] > bench->unit_us)
				bench->unit_us = units[i];
		}
		search_free(search);
		query_free(query);
	}
}

/* What the machine makes of 250 us in which nothing but the clock is read. */
static double spin_us(void)
{
	double longest = 0;
	for (int i = 0; i < 4000; i++) {
		double from = clock_exact_us();
		for (uint64_t end = clock_us(NULL) + 250; clock_us(NULL) < end;)
			;
		double us = clock_exact_us() - from;
		longest = us > longest ? us : longest;
	}
	return longest;
}

enum shape {
	FREQUENT, MEDIUM, RARE, AND2, AND3, OR2, OR3, PHRASE2, PREFIX, FILTER, FUZZY, ALL, RANGE, GEO,
	NOT, SHAPES
};

struct made {
	struct buf  ours, peer;           /* peer: empty where it has no such query */
	const char *where;
};

static void both(struct made *made, const char *text)
{
	buf_append_text(&made->ours, text);
	buf_append_text(&made->peer, text);
}

static const char *word_between(struct bench *bench, int low, int high)
{
	return bench->words[low + below(bench, high - low)];
}

/* Frequent ones and rare ones alike: the logarithm of the rank is uniform up to 20,000. */
static const char *word_any(struct bench *bench)
{
	return bench->words[(int)exp(uniform(bench) * log(20000))];
}

static void query_join(struct bench *bench, struct made *made, int count, bool either)
{
	for (int i = 0; i < count; i++) {
		if (i > 0) {
			buf_append_text(&made->ours, either ? "|" : " ");
			buf_append_text(&made->peer, either ? " OR " : " ");
		}
		both(made, word_any(bench));
	}
}

static void query_make(struct bench *bench, enum shape shape, struct made *made)
{
	buf_clear(&made->ours);
	buf_clear(&made->peer);
	made->where = "";
	switch (shape) {
	case FREQUENT: both(made, word_between(bench, 0, 20)); break;
	case MEDIUM: both(made, word_between(bench, 100, 1000)); break;
	case RARE: both(made, word_between(bench, 10000, bench->word_count)); break;
	case AND2: query_join(bench, made, 2, false); break;
	case AND3: query_join(bench, made, 3, false); break;
	case OR2: query_join(bench, made, 2, true); break;
	case OR3: query_join(bench, made, 3, true); break;
	case PHRASE2:
		both(made, "\"");
		both(made, word_between(bench, 0, 100));
		both(made, " ");
		both(made, word_between(bench, 0, 300));
		both(made, "\"");
		break;
	case PREFIX:
		both(made, word_between(bench, 0, 5000));
		if (made->ours.len > 3)
			made->ours.len = made->peer.len = 3 + (size_t)below(bench, 2);
		both(made, "*");
		break;
	case FILTER:
		both(made, word_between(bench, 0, 200));
		buf_append_text(&made->ours, " @format:{jpeg} @width:[1920 4000]");
		made->where = " AND m.format = 'jpeg' AND m.width BETWEEN 1920 AND 4000";
		break;
	case FUZZY:
		buf_printf(&made->ours, "%%%s%%", word_between(bench, 0, 5000));
		break;
	case ALL: buf_append_text(&made->ours, "*"); break;
	case RANGE:
		buf_printf(&made->ours, "@iso:[400 +inf] @taken:[2019-0%d 2020]",
		    1 + below(bench, 9));
		break;
	case GEO:
		buf_printf(&made->ours, "@location:[%d %d 50 km]", below(bench, 300) - 150,
		    below(bench, 100) - 50);
		break;
	default:
		buf_printf(&made->ours, "-%s", word_between(bench, 0, 20));
		break;
	}
	buf_append_u8(&made->peer, 0);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void class_run(struct bench *bench, const char *name, enum shape shape, int count,
    const struct search_options *options)
{
	static double samples[SAMPLES_MAX], peers[SAMPLES_MAX], xapians[SAMPLES_MAX];
	struct made made = {0};
	double us;
	uint64_t total = 0;
	int asked = 0;
	if (strstr(name, bench->only) == NULL)
		return;
	buf_init(&made.ours, &bench->memory);
	buf_init(&made.peer, &bench->memory);
	random_init(&bench->random, 42 + (uint64_t)shape);
	bench->blocks_read = bench->blocks_skipped = bench->windows = 0;
	bench->slice_us = bench->unit_us = 0;
	bench->class_name = name;
	for (int i = 0; i < count; i++) {
		query_make(bench, shape, &made);
		total += query_run(bench, buf_span(&made.ours), options, &us);
		samples[i] = us;
		units_run(bench, buf_span(&made.ours), options);
		if (bench->peer == NULL || asked == bench->peer_queries || made.peer.len <= 1)
			continue;
		xapians[asked] =
		    xapian_query(bench, (const char *)made.peer.ptr, *made.where != 0);
		peers[asked++] = peer_query(bench, (const char *)made.peer.ptr, made.where);
	}
	qsort(samples, (size_t)count, sizeof(*samples), by_value);
	printf("%-22s %9.1f %9.1f %9.1f %6.0f %6.0f %10.0f %7.0f %7.0f %6.0f", name, samples[count / 2],
	    samples[count * 99 / 100], samples[count - 1], bench->slice_us, bench->unit_us,
	    (double)total / count,
	    bench->blocks_read / count, bench->blocks_skipped / count, bench->windows / count);
	bench->unit_us_max =
	    bench->unit_us > bench->unit_us_max ? bench->unit_us : bench->unit_us_max;
	bench->slice_us_max =
	    bench->slice_us > bench->slice_us_max ? bench->slice_us : bench->slice_us_max;
	if (asked > 0) {
		qsort(peers, (size_t)asked, sizeof(*peers), by_value);
		qsort(xapians, (size_t)asked, sizeof(*xapians), by_value);
		printf(" %11.0f %11.0f %8.0fx %11.0f %11.0f %8.0fx", peers[asked / 2],
		    peers[asked * 99 / 100], peers[asked / 2] / samples[count / 2],
		    xapians[asked / 2], xapians[asked * 99 / 100],
		    xapians[asked / 2] / samples[count / 2]);
	}
	printf("\n");
	buf_fini(&made.ours);
	buf_fini(&made.peer);
}

static void index_print(struct bench *bench)
{
	struct index_stats stats;
	index_get_stats(bench->index, &stats);
	double docs = (double)(stats.docs > 0 ? stats.docs : 1);
	printf("%lu documents, %.0f a CPU second (longest %.0f us)", (unsigned long)stats.docs,
	    docs / bench->ours_us * 1e6, bench->add_us);
	if (bench->peer != NULL)
		printf("; SQLite %s FTS5: %.0f; Xapian %s: %.0f", sqlite3_libversion(),
		    docs / bench->peer_us * 1e6, xapian_peer_version(),
		    docs / bench->xapian_us * 1e6);
	printf("\n%.1f postings, %lu terms; %.1f bytes a document: postings %.1f, dictionary %.1f, "
	    "documents %.1f, columns and tags %.1f\n", (double)stats.postings / docs,
	    (unsigned long)stats.terms, (double)stats.bytes / docs,
	    (double)stats.bytes_postings / docs, (double)stats.bytes_dictionary / docs,
	    (double)stats.bytes_documents / docs, (double)stats.bytes_columns / docs);
}

static void classes_run(struct bench *bench, int count)
{
	static const struct span camera[] = {SPAN_LIT("camera")}, tags[] = {SPAN_LIT("tags")};
	struct search_options fast = {.limit = 10}, none = {.limit = 10, .count = SEARCH_NONE},
	    exact = {.limit = 10, .count = SEARCH_EXACT},
	    sorted = {.limit = 10, .sort_field = SPAN_LIT("taken"), .sort_descending = true},
	    deep = {.limit = 10, .offset = 9000, .sort_field = SPAN_LIT("width")},
	    title = {.limit = 10, .sort_field = SPAN_LIT("title")},
	    facet = {.limit = 0, .facets = camera, .facet_count = 1},
	    facet_tags = {.limit = 0, .facets = tags, .facet_count = 1};
	const struct { const char *name; enum shape shape; const struct search_options *options; }
	    classes[] = {
		{"1 term frequent", FREQUENT, &fast}, {"1 term medium", MEDIUM, &fast},
		{"1 term rare", RARE, &fast}, {"AND 2", AND2, &fast}, {"AND 3", AND3, &fast},
		{"OR 2", OR2, &fast}, {"OR 3", OR3, &fast}, {"phrase 2", PHRASE2, &fast},
		{"prefix", PREFIX, &fast}, {"term+tag+range", FILTER, &fast}, {"all", ALL, &fast},
		{"2 ranges", RANGE, &fast}, {"geo", GEO, &fast}, {"not", NOT, &fast},
		{"frequent, no total", FREQUENT, &none}, {"AND 2, no total", AND2, &none},
		{"OR 2, no total", OR2, &none}, {"phrase 2, no total", PHRASE2, &none},
		{"frequent, exact", FREQUENT, &exact}, {"AND 2, exact", AND2, &exact},
		{"OR 2, exact", OR2, &exact},
		{"frequent, by date", FREQUENT, &sorted}, {"all, by date", ALL, &sorted},
		{"all, by width, deep", ALL, &deep}, {"frequent, by title", FREQUENT, &title},
		{"frequent, counted", FREQUENT, &exact},
		{"frequent, facet", FREQUENT, &facet}, {"frequent, tag facet", FREQUENT, &facet_tags},
		{"all, facet", ALL, &facet},
	};
	printf("%-22s %9s %9s %9s %6s %6s %10s %7s %7s %6s %11s %11s %9s %11s %11s\n", "top 10, us",
	    "p50", "p99", "max", "slice", "unit", "total", "blocks", "skipped", "wind.", "FTS5 p50", "p99",
	    "", "Xapian p50", "p99");
	for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
		class_run(bench, classes[i].name, classes[i].shape, count, classes[i].options);
	printf("longest slice: %.0f us of CPU, with units of up to %.0f; of doing nothing: %.0f\n",
	    bench->slice_us_max, bench->unit_us_max, spin_us());
}

int main(int argc, char **argv)
{
	static struct bench bench;
	int docs = argc > 1 ? atoi(argv[1]) : 1000000, count = argc > 2 ? atoi(argv[2]) : 100;
	struct index_options options = {.hash_seed = 1};
	bench.only = argc > 3 ? argv[3] : "";
	bench.peer_queries = argc > 4 ? atoi(argv[4]) : 20;
	count = count < 1 ? 1 : count > SAMPLES_MAX ? SAMPLES_MAX : count;
	setvbuf(stdout, NULL, _IOLBF, 0);
	random_init(&bench.random, 7);
	words_load(&bench);
	const char *path = argc > 5 && *argv[5] != 0 ? argv[5] : NULL;
	if (argc > 6 && (bench.found = fopen(argv[6], "w")) == NULL) {
		perror(argv[6]);
		return 1;
	}
	if (path == NULL || !file_load(&bench, path)) {
		if (bench.peer_queries > 0)
			peer_open(&bench);
		bench.index = index_new(&bench.memory, &options);
		fill(&bench, docs);
		index_print(&bench);
		if (path != NULL)
			file_save(&bench, path);
		dump_and_load(&bench);
	}
	classes_run(&bench, count);
	if (bench.xapian != NULL)
		xapian_peer_close(bench.xapian);
	return bench.found != NULL && fclose(bench.found) != 0;
}
