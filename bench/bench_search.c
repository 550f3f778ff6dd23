/* bench/bench_search.c: the index alone, no server: N synthetic photographs, then queries of
 * each class of GOALS.md (Q1 to Q4, Q6, Q7).
 *
 *   bench_search [documents, default 1000000] [queries a class, default 100] [part of class name]
 *
 * Documents are as in research/search.md: about 14 words from a Zipf vocabulary of 100,000,
 * tags, camera, format, sizes, date and place. Queries run in slices of 250 us; "stall" is
 * the longest slice. Times are CPU time of the one thread, since machines are shared.
 */
#include "base/buf.h"
#include "base/random.h"
#include "search/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VOCABULARY = 100000, SAMPLES_MAX = 10000 };

struct bench {
	struct memory  memory;
	struct index  *index;
	struct random  random;
	double        *zipf;              /* cumulative */
	uint64_t       stall_us;
	const char    *only;
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

static void zipf_init(struct bench *bench)
{
	double sum = 0;
	bench->zipf = malloc(VOCABULARY * sizeof(double));
	for (int i = 0; i < VOCABULARY; i++) {
		sum += 1 / pow(i + 2.7, 1.0);
		bench->zipf[i] = sum;
	}
	for (int i = 0; i < VOCABULARY; i++)
		bench->zipf[i] /= sum;
}

static int zipf_word(struct bench *bench)
{
	double at = uniform(bench);
	int low = 0, high = VOCABULARY - 1;
	while (low < high) {
		int middle = (low + high) / 2;
		if (bench->zipf[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Pronounceable, three letters and more; neighbours in rank are not neighbours in text. */
static int word_text(int word, char *out)
{
	static const char consonants[] = "bcdfghklmnprstvz", vowels[] = "aeiou";
	uint32_t value = ((uint32_t)word * 2654435761u) ^ 0x5bd1e995u;
	int len = 0;
	for (int i = 0; i < 3; i++) {
		out[len++] = consonants[value % 16];
		value /= 16;
		out[len++] = vowels[value % 5];
		value /= 5;
	}
	return len + sprintf(out + len, "%x", (unsigned)word % 64);
}

static void document_add(struct bench *bench)
{
	static const char *const formats[] = {
	    "jpeg", "jpeg", "jpeg", "jpeg", "png", "webp", "avif"};
	static const char *const cameras[] = {"Canon EOS 5D", "Nikon D850", "Apple iPhone 15 Pro",
	    "Sony ILCE-7M4", "FUJIFILM X-T5"};
	char title[128], caption[256], tags[4][24];
	struct search_field fields[24];
	size_t count = 0, len = 0;
	uint32_t docid;
	for (int i = 4 + below(bench, 3); i > 0; i--) {
		len += (size_t)word_text(zipf_word(bench), title + len);
		title[len++] = ' ';
	}
	fields[count++] = (struct search_field){.name = SPAN_LIT("title"), .kind = SEARCH_TEXT,
	    .text = span_of(title, len)};
	len = 0;
	for (int i = 5 + below(bench, 6); i > 0; i--) {
		len += (size_t)word_text(zipf_word(bench), caption + len);
		caption[len++] = ' ';
	}
	fields[count++] = (struct search_field){.name = SPAN_LIT("caption"), .kind = SEARCH_TEXT,
	    .text = span_of(caption, len)};
	for (int i = 0; i < 2; i++)
		fields[count++] = (struct search_field){.name = SPAN_LIT("tags"),
		    .kind = SEARCH_TAG,
		    .text = span_of(
		        tags[i], (size_t)sprintf(tags[i], "tag%d", zipf_word(bench) % 5000))};
	const char *const names[] = {"format", "camera", "orientation", "tier"};
	const char *const values[] = {formats[below(bench, 7)], cameras[below(bench, 5)],
	    below(bench, 3) == 0 ? "portrait" : "landscape", "hot"};
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		fields[count++] = (struct search_field){
		    .name = span_text(names[i]), .kind = SEARCH_TAG, .text = span_text(values[i])};
	int width = 640 + below(bench, 80) * 64, height = 480 + below(bench, 60) * 64;
	const char *const number_names[] = {"width", "height", "megapixels", "bytes", "frames",
	    "iso", "aperture", "exposure", "focal"};
	const double numbers[] = {width, height, width * height / 1e6,
	    100000 + below(bench, 8000000), 1, 100 << below(bench, 7),
	    1.4 + below(bench, 20) / 10.0, 1.0 / (1 << below(bench, 12)), 14 + below(bench, 300)};
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		fields[count++] = (struct search_field){.name = span_text(number_names[i]),
		    .kind = SEARCH_NUMERIC, .number = numbers[i]};
	int64_t taken = 1500000000000 + (int64_t)random_below(&bench->random, 200000000000);
	fields[count++] = (struct search_field){.name = SPAN_LIT("taken"), .kind = SEARCH_DATE,
	    .date_ms = taken};
	fields[count++] = (struct search_field){.name = SPAN_LIT("created"), .kind = SEARCH_DATE,
	    .date_ms = taken + 86400000};
	if (below(bench, 2) == 0)
		fields[count++] = (struct search_field){.name = SPAN_LIT("location"),
		    .kind = SEARCH_GEO,
		    .lon = uniform(bench) * 360 - 180,
		    .lat = uniform(bench) * 140 - 70};
	if (index_add(bench->index, fields, count, bench, &docid) != OK)
		abort();
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
	for (enum err err = ERR_AGAIN; err == ERR_AGAIN;) {
		uint64_t begin = clock_us(NULL);
		struct search_budget budget = {.clock_us = clock_us, .deadline_us = begin + 250};
		err = search_step(search, &budget);
		uint64_t slice = clock_us(NULL) - begin;
		bench->stall_us = slice > bench->stall_us ? slice : bench->stall_us;
	}
	search_get_results(search, &results);
	*us = clock_exact_us() - from;
	uint64_t total = results.total;
	search_free(search);
	query_free(query);
	return total;
}

enum shape {
	FREQUENT, MEDIUM, RARE, AND2, AND3, OR2, OR3, PHRASE2, PREFIX, FILTER, ALL, RANGE, GEO, NOT
};

static void word_append(struct bench *bench, struct buf *out, int low, int high)
{
	char word[16];
	word[word_text(low + below(bench, high - low), word)] = 0;
	buf_append_text(out, word);
}

static void query_make(struct bench *bench, enum shape shape, struct buf *out)
{
	static const char *const joints[] = {" ", " ", "|", "|"};
	buf_clear(out);
	switch (shape) {
	case FREQUENT: word_append(bench, out, 0, 20); break;
	case MEDIUM: word_append(bench, out, 100, 1000); break;
	case RARE: word_append(bench, out, 20000, 90000); break;
	case AND2: case AND3: case OR2: case OR3:
		for (int i = 0; i < (shape == AND3 || shape == OR3 ? 3 : 2); i++) {
			buf_append_text(out, i == 0 ? "" : joints[shape - AND2]);
			word_append(bench, out, 0, below(bench, 2) == 0 ? 50 : 2000);
		}
		break;
	case PHRASE2:
		buf_append_text(out, "\"");
		word_append(bench, out, 0, 100);
		buf_append_text(out, " ");
		word_append(bench, out, 0, 300);
		buf_append_text(out, "\"");
		break;
	case PREFIX:
		word_append(bench, out, 0, 5000);
		out->len = 3 + (size_t)below(bench, 2);
		buf_append_text(out, "*");
		break;
	case FILTER:
		word_append(bench, out, 0, 200);
		buf_append_text(out, " @format:{jpeg} @width:[1920 4000]");
		break;
	case ALL: buf_append_text(out, "*"); break;
	case RANGE:
		buf_printf(out, "@iso:[400 +inf] @taken:[2019-0%d 2020]", 1 + below(bench, 9));
		break;
	case GEO:
		buf_printf(out, "@location:[%d %d 50 km]", below(bench, 300) - 150,
		    below(bench, 100) - 50);
		break;
	case NOT: buf_append_text(out, "-"); word_append(bench, out, 0, 20); break;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void class_run(struct bench *bench, const char *name, enum shape shape, int count,
    const struct search_options *options)
{
	static double samples[SAMPLES_MAX];
	struct buf text;
	if (strstr(name, bench->only) == NULL)
		return;
	double us;
	uint64_t total = 0;
	buf_init(&text, &bench->memory);
	random_init(&bench->random, 42 + (uint64_t)shape);
	for (int i = 0; i < count; i++) {
		query_make(bench, shape, &text);
		total += query_run(bench, buf_span(&text), options, &us);
		samples[i] = us;
	}
	qsort(samples, (size_t)count, sizeof(*samples), by_value);
	printf("%-22s %10.1f %10.1f %10.1f %12.0f\n", name, samples[count / 2],
	    samples[count * 99 / 100], samples[count - 1], (double)total / count);
	buf_fini(&text);
}

static void index_print(struct bench *bench, double seconds)
{
	struct index_stats stats;
	index_get_stats(bench->index, &stats);
	double docs = (double)(stats.docs > 0 ? stats.docs : 1);
	printf("%lu documents, %.0f a second; %.1f postings, %.1f bytes a document: postings %.1f, "
	    "dictionary %.1f, documents %.1f, columns %.1f\n", (unsigned long)stats.docs,
	    docs / seconds, (double)stats.postings / docs, (double)stats.bytes / docs,
	    (double)stats.bytes_postings / docs, (double)stats.bytes_dictionary / docs,
	    (double)stats.bytes_documents / docs, (double)stats.bytes_columns / docs);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	int docs = argc > 1 ? atoi(argv[1]) : 1000000, count = argc > 2 ? atoi(argv[2]) : 100;
	struct index_options options = {.hash_seed = 1};
	bench.only = argc > 3 ? argv[3] : "";
	count = count < 1 ? 1 : count > SAMPLES_MAX ? SAMPLES_MAX : count;
	random_init(&bench.random, 7);
	zipf_init(&bench);
	bench.index = index_new(&bench.memory, &options);
	double from = clock_exact_us();
	for (int i = 0; i < docs; i++)
		document_add(&bench);
	index_print(&bench, (clock_exact_us() - from) / 1e6);
	struct search_options fast = {.limit = 10}, none = {.limit = 10, .count = SEARCH_NONE},
	    exact = {.limit = 10, .count = SEARCH_EXACT},
	    sorted = {.limit = 10, .sort_field = SPAN_LIT("taken"), .sort_descending = true};
	static const struct { const char *name; enum shape shape; } classes[] = {
		{"1 term frequent", FREQUENT}, {"1 term medium", MEDIUM}, {"1 term rare", RARE},
		{"AND 2", AND2}, {"AND 3", AND3}, {"OR 2", OR2}, {"OR 3", OR3},
		{"phrase 2", PHRASE2}, {"prefix", PREFIX}, {"term+tag+range", FILTER},
		{"all", ALL}, {"2 ranges", RANGE}, {"geo", GEO}, {"not", NOT},
	};
	printf("%-22s %10s %10s %10s %12s\n", "top 10, us", "p50", "p99", "max", "total");
	for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
		class_run(&bench, classes[i].name, classes[i].shape, count, &fast);
	class_run(&bench, "frequent, no total", FREQUENT, count, &none);
	class_run(&bench, "AND 2, no total", AND2, count, &none);
	class_run(&bench, "OR 2, no total", OR2, count, &none);
	class_run(&bench, "frequent, exact", FREQUENT, count, &exact);
	class_run(&bench, "OR 2, exact", OR2, count, &exact);
	class_run(&bench, "frequent, by date", FREQUENT, count, &sorted);
	class_run(&bench, "all, by date", ALL, count, &sorted);
	printf("longest slice: %lu us\n", (unsigned long)bench.stall_us);
	return 0;
}
