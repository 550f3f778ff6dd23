/* tests/unit/search/model_test.c: the index against the model, over random histories of
 * additions, removals and sweeps, and random queries. */
#include "search/persist.h"
#include "tests/unit/search/model.h"

#include "search/docs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct memory    memory;
	struct index    *index;
	struct model     model;
	struct buf       text;
	struct model_query query;
	struct model_hit *hits;
	uint32_t         hit_count, seen;
	bool             odd_only;
};

static const struct search_budget endless = {0};

static void fixture_init(struct fixture *f, uint64_t seed, uint32_t vocabulary)
{
	struct index_options options = {.hash_seed = seed};
	*f = (struct fixture){0};
	f->index = index_new(&f->memory, &options);
	model_init(&f->model, seed, vocabulary);
	buf_init(&f->text, &f->memory);
}

static void fixture_fini(struct fixture *f)
{
	index_free(f->index);
	buf_fini(&f->text);
	free(f->hits);
	model_fini(&f->model);
	cr_assert_eq(
	    f->memory.bytes, 0, "%lu bytes are still counted", (unsigned long)f->memory.bytes);
}

static void sweep_all(struct fixture *f)
{
	cr_assert_eq(index_sweep(f->index, &endless), OK);
	for (uint32_t i = 0; i < f->model.count; i++)
		f->model.docs[i].swept = !f->model.docs[i].live;
}

/* Now and then, between queries; in slices of any length. */
static void sweep_some(struct fixture *f)
{
	struct search_budget budget = {.units = 1 + random_below(&f->model.random, 50)};
	if (random_below(&f->model.random, 16) > 0)
		return;
	while (index_sweep(f->index, &budget) == ERR_AGAIN)
		;
	for (uint32_t i = 0; i < f->model.count; i++)
		f->model.docs[i].swept = !f->model.docs[i].live;
}

static void random_query(struct fixture *f)
{
	model_query_random(&f->model, &f->query);
	buf_clear(&f->text);
	model_query_print(&f->query, &f->text);
	f->hits = realloc(f->hits, (f->model.count + 1) * sizeof(*f->hits));
	f->hit_count = model_search(&f->model, &f->query, f->hits);
}

static struct search *start(struct fixture *f, const struct search_options *options)
{
	struct query *query;
	struct query_error error;
	struct search *search;
	enum err err = query_parse(&query, &f->memory, buf_span(&f->text), NULL, &error);
	cr_assert_eq(err, OK, "%s: %.*s", error.text, (int)f->text.len, (char *)f->text.ptr);
	cr_assert_eq(search_start(&search, f->index, query, options), OK);
	query_free(query);
	return search;
}

static struct search *run(struct fixture *f, const struct search_options *options, uint64_t units)
{
	struct search *search = start(f, options);
	struct search_budget budget = {.units = units};
	enum err err;
	do
		err = search_step(search, &budget);
	while (err == ERR_AGAIN);
	cr_assert_eq(err, OK);
	return search;
}

static int by_score(const void *a, const void *b)
{
	const struct model_hit *x = a, *y = b;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->doc->docid > y->doc->docid ? -1 : 1;
}

static const struct model_hit *model_find(const struct fixture *f, uint32_t docid)
{
	for (uint32_t i = 0; i < f->hit_count; i++)
		if (f->hits[i].doc->docid == docid)
			return &f->hits[i];
	return NULL;
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-4 * (1 + fabs(a));
}

/* The results are a best possible choice: each has its true score, in order, and the n-th
 * is as good as the model's n-th. */
static void check_scores(struct fixture *f, const struct search_results *results, size_t wanted)
{
	size_t expected = f->hit_count < wanted ? f->hit_count : wanted;
	const char *text = (const char *)f->text.ptr;
	int len = (int)f->text.len;
	cr_assert_eq(
	    results->count, expected, "%zu for %zu: %.*s", results->count, expected, len, text);
	qsort(f->hits, f->hit_count, sizeof(*f->hits), by_score);
	for (size_t i = 0; i < expected; i++) {
		const struct search_hit *hit = &results->hits[i];
		const struct model_hit *truth = model_find(f, hit->docid);
		cr_assert_not_null(truth, "%u does not match: %.*s", hit->docid, len, text);
		cr_assert(near(truth->score, hit->score), "%u: %f, not %f: %.*s", hit->docid,
		    hit->score, truth->score, len, text);
		cr_assert(near(f->hits[i].score, hit->score), "place %zu: %f, not %f: %.*s", i,
		    hit->score, f->hits[i].score, len, text);
		cr_assert_eq((uintptr_t)hit->owner, (uintptr_t)(truth->doc - f->model.docs) + 1);
		if (i > 0 && hit[-1].score == hit->score)
			cr_assert_gt(hit[-1].docid, hit->docid, "ties: newest first");
	}
}

static void check_total(struct fixture *f, const struct search_results *results)
{
	if (results->total_is_exact)
		cr_assert_eq(results->total, f->hit_count, "%lu, not %u: %.*s",
		    (unsigned long)results->total, f->hit_count, (int)f->text.len,
		    (char *)f->text.ptr);
	else
		cr_assert_leq(results->total, f->hit_count);
}

/* ---- Facets, visitors -------------------------------------------------------------------- */

static void see(void *ctx, const uint32_t *docids, const float *scores, size_t count)
{
	struct fixture *f = ctx;
	for (size_t i = 0; i < count; i++) {
		cr_assert_lt(f->seen, f->hit_count, "more are shown than match");
		const struct model_hit *truth = &f->hits[f->seen++];     /* newest first */
		cr_assert_eq(docids[i], truth->doc->docid, "%.*s", (int)f->text.len,
		    (char *)f->text.ptr);
		if (scores != NULL)
			cr_assert(near(truth->score, scores[i]));
		cr_assert(!f->odd_only || docids[i] % 2 == 1);
	}
}

static bool is_odd(void *ctx, void *owner)
{
	const struct fixture *f = ctx;
	return f->model.docs[(uintptr_t)owner - 1].docid % 2 == 1;
}

static bool doc_has_tag(const struct model_doc *doc, const char *text)
{
	char own[32];
	for (uint32_t i = 0; i < doc->tag_count; i++) {
		own[model_tag_text(doc->tags[i], own)] = 0;
		if (strcmp(own, text) == 0)
			return true;
	}
	return false;
}

/* How many hits have the value; tags and widths. */
static uint64_t facet_truth(const struct fixture *f, size_t at,
    const struct search_facet_value *value)
{
	uint64_t docs = 0;
	char text[64] = {0};
	memcpy(text, value->text.ptr == NULL ? (const void *)"" : value->text.ptr, value->text.len);
	for (uint32_t i = 0; i < f->hit_count; i++)
		docs += at == 0 ? doc_has_tag(f->hits[i].doc, text)
		                : f->hits[i].doc->width == (int)value->number;
	return docs;
}

static void check_facets(struct fixture *f, struct search *search)
{
	for (size_t at = 0; at < 2; at++) {
		const struct search_facet_value *values;
		size_t count = search_get_facet(search, at, &values);
		uint64_t sum = 0, all = 0;
		cr_assert_leq(count, SEARCH_FACET_VALUES);
		for (size_t i = 0; i < count; i++) {
			cr_assert_eq(values[i].docs, facet_truth(f, at, &values[i]), "%.*s",
			    (int)f->text.len, (char *)f->text.ptr);
			cr_assert(i == 0 || values[i].docs <= values[i - 1].docs);
			sum += values[i].docs;
		}
		for (uint32_t i = 0; i < f->hit_count; i++)
			all += f->hits[i].doc->width >= 0;
		cr_assert(at == 0 || count == SEARCH_FACET_VALUES || sum == all);
	}
}

static void keep_odd(struct fixture *f)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < f->hit_count; i++)
		if (f->hits[i].doc->docid % 2 == 1)
			f->hits[kept++] = f->hits[i];
	f->hit_count = kept;
}

static void check_shown(struct fixture *f, uint64_t units)
{
	static const struct span fields[] = {SPAN_LIT("tags"), SPAN_LIT("width")};
	struct search_results results;
	struct search_options options = {.limit = 10, .facets = fields, .facet_count = 2,
	    .visit = see, .visit_ctx = f};
	f->odd_only = random_below(&f->model.random, 2) == 0;
	if (f->odd_only) {
		keep_odd(f);
		options.accept = is_odd;
		options.accept_ctx = f;
	}
	f->seen = 0;
	struct search *search = run(f, &options, units);
	cr_assert_eq(f->seen, f->hit_count);
	search_get_results(search, &results);
	cr_assert(results.total_is_exact);
	check_total(f, &results);
	check_facets(f, search);
	search_free(search);
}

static void check_query(struct fixture *f, uint64_t units)
{
	struct search_options options = {.limit = 10, .count = SEARCH_EXACT};
	struct search_results results;
	random_query(f);
	check_shown(f, units);
	random_query(f);
	struct search *search = run(f, &options, units);
	search_get_results(search, &results);
	cr_assert(results.total_is_exact);
	check_total(f, &results);
	check_scores(f, &results, 10);
	search_free(search);
	options.count = SEARCH_FAST;
	search = run(f, &options, units);
	search_get_results(search, &results);
	cr_assert(results.total_is_exact || results.total >= SEARCH_COUNT_FAST);
	check_total(f, &results);
	check_scores(f, &results, 10);
	search_free(search);
	options.count = SEARCH_NONE;
	options.limit = 3;
	search = run(f, &options, units);
	search_get_results(search, &results);
	check_scores(f, &results, 3);
	search_free(search);
}

/* Grow, shrink and sweep in turn; queries in between. */
static void history(uint64_t seed, uint32_t docs, uint32_t vocabulary, int rounds, int queries)
{
	struct fixture f;
	fixture_init(&f, seed, vocabulary);
	for (int round = 0; round < rounds; round++) {
		uint64_t adds = docs / 2 + random_below(&f.model.random, docs / 2);
		for (uint64_t i = 0; i < adds; i++)
			model_add(&f.model, f.index);
		uint64_t removals = random_below(&f.model.random, adds);
		for (uint64_t i = 0; i < removals; i++)
			model_remove(&f.model, f.index);
		if (random_below(&f.model.random, 2) == 0)
			sweep_all(&f);
		for (int i = 0; i < queries; i++) {
			sweep_some(&f);
			check_query(&f, i % 4 == 0 ? 1 + random_below(&f.model.random, 20) : 0);
		}
	}
	fixture_fini(&f);
}

Test(search_model, agrees_on_handfuls_of_documents)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		history(seed, 12, 20, 4, 30);
}

Test(search_model, agrees_on_hundreds_of_documents)
{
	for (uint64_t seed = 1; seed <= 8; seed++)
		history(100 + seed, 400, 60, 4, 40);
}

Test(search_model, agrees_across_windows_and_blocks)
{
	history(1000, 3000, 60, 4, 60);
	history(1001, 6000, 300, 2, 60);
}

Test(search_model, agrees_after_almost_everything_was_removed)
{
	struct fixture f;
	fixture_init(&f, 77, 40);
	for (int i = 0; i < 9000; i++)
		model_add(&f.model, f.index);
	for (int i = 0; i < 8800; i++)
		cr_assert(model_remove(&f.model, f.index));
	for (int i = 0; i < 50; i++)
		check_query(&f, 0);
	sweep_all(&f);
	for (int i = 0; i < 50; i++)
		check_query(&f, 0);
	for (int i = 0; i < 300; i++)
		model_add(&f.model, f.index);
	for (int i = 0; i < 50; i++)
		check_query(&f, 0);
	fixture_fini(&f);
}

/* ---- Sorting ---------------------------------------------------------------------------- */

static bool sort_ascending;

static double width_of(const struct model_doc *doc)
{
	return doc->width;
}

static int by_width(const void *a, const void *b)
{
	const struct model_doc *x = ((const struct model_hit *)a)->doc;
	const struct model_doc *y = ((const struct model_hit *)b)->doc;
	if ((x->width < 0) != (y->width < 0))
		return x->width < 0 ? 1 : -1;
	if (x->width != y->width)
		return (x->width < y->width) == sort_ascending ? -1 : 1;
	return x->docid > y->docid ? -1 : 1;
}

Test(search_model, sorts_by_number_with_missing_values_last)
{
	struct fixture f;
	struct search_results results;
	fixture_init(&f, 5, 40);
	for (int i = 0; i < 9000; i++)
		model_add(&f.model, f.index);
	for (int i = 0; i < 1000; i++)
		model_remove(&f.model, f.index);
	for (int i = 0; i < 200; i++) {
		struct search_options options = {.limit = 20,
		    .offset = i % 3 * 7,
		    .count = i % 2 == 0 ? SEARCH_EXACT : SEARCH_NONE,
		    .sort_field = SPAN_LIT("width"),
		    .sort_descending = i % 5 < 2};
		random_query(&f);
		sort_ascending = !options.sort_descending;
		qsort(f.hits, f.hit_count, sizeof(*f.hits), by_width);
		struct search *search = run(&f, &options, i % 4 == 0 ? 1 : 0);
		search_get_results(search, &results);
		for (size_t j = 0; j < results.count; j++)
			cr_assert_eq(results.hits[j].docid, f.hits[options.offset + j].doc->docid,
			    "place %zu: %u (%f): %.*s", j, results.hits[j].docid,
			    width_of(f.hits[options.offset + j].doc), (int)f.text.len,
			    (char *)f.text.ptr);
		size_t left = f.hit_count > options.offset ? f.hit_count - options.offset : 0;
		cr_assert_eq(results.count, left < 20 ? left : 20);
		search_free(search);
	}
	fixture_fini(&f);
}

/* ---- Changes between slices ------------------------------------------------------------- */

/* Docids of the hits at the start: the model's documents move when it grows. */
static uint32_t *hit_docids(const struct fixture *f)
{
	uint32_t *docids = malloc((f->hit_count + 1) * sizeof(*docids));
	for (uint32_t i = 0; i < f->hit_count; i++)
		docids[i] = f->hits[i].doc->docid;
	return docids;
}

/* While a search stands still, documents come and go and the sweep works. Whatever it
 * finds was there at its start, matched, and is there at its end; whatever matched and
 * stayed is found. */
Test(search_model, survives_changes_between_its_slices)
{
	struct fixture f;
	struct search_results results;
	fixture_init(&f, 9, 60);
	for (int i = 0; i < 6000; i++)
		model_add(&f.model, f.index);
	for (int round = 0; round < 60; round++) {
		struct search_options options = {.limit = 10000, .count = SEARCH_EXACT};
		struct search_budget one = {.units = 1};
		random_query(&f);
		uint32_t *docids = hit_docids(&f);
		struct search *search = start(&f, &options);
		uint32_t end = f.model.docs[f.model.count - 1].docid;
		for (int slice = 0; search_step(search, &one) == ERR_AGAIN; slice++) {
			for (int i = 0; i < 4 && slice < 60; i++) {
				if (i == 0)
					model_add(&f.model, f.index);
				else
					model_remove(&f.model, f.index);
			}
			enum err err = index_sweep(f.index, &one);
			cr_assert(err == OK || err == ERR_AGAIN);
		}
		search_get_results(search, &results);
		size_t stayed = 0;
		for (uint32_t i = 0; i < f.hit_count; i++)
			stayed += index_owner(f.index, docids[i]) != NULL;
		cr_assert_eq(results.count, stayed, "%zu, not %zu: %.*s", results.count, stayed,
		    (int)f.text.len, (char *)f.text.ptr);
		for (size_t i = 0; i < results.count; i++) {
			cr_assert_leq(results.hits[i].docid, end);
			cr_assert_not_null(results.hits[i].owner);
		}
		search_free(search);
		free(docids);
		for (int i = 0; i < 100; i++)
			model_add(&f.model, f.index);
	}
	fixture_fini(&f);
}

/* ---- Dumps -------------------------------------------------------------------------------- */

/* The owner keeps its number with the document. */
static void owner_write(void *ctx, uint32_t docid, void *owner, struct buf *out)
{
	uintptr_t number = (uintptr_t)owner;
	(void)ctx;
	(void)docid;
	buf_append(out, span_of(&number, sizeof(number)));
}

static bool owner_read(void *ctx, uint32_t docid, struct span *in)
{
	const struct fixture *f = ctx;
	uintptr_t number;
	if (in->len < sizeof(number))
		return false;
	memcpy(&number, in->ptr, sizeof(number));
	cr_assert_eq(f->model.docs[number - 1].docid, docid);
	*in = span_slice(*in, sizeof(number), in->len);
	return true;
}

/* Steps of a dump, with changes and queries between them. */
static void dump_while_busy(struct fixture *f, struct buf *out, int busy)
{
	const struct index_dump_owner owner = {.write = owner_write};
	struct index_dump *dump = index_dump_new(f->index, &owner, 99);
	while (index_dump_step(dump, out)) {
		if (busy == 0 || random_below(&f->model.random, (uint64_t)busy) > 0)
			continue;
		for (uint64_t i = random_below(&f->model.random, 40); i > 0; i--)
			if (random_below(&f->model.random, 5) < 3)
				model_add(&f->model, f->index);
			else
				model_remove(&f->model, f->index);
		cr_assert(!index_sweep_is_due(f->index));
	}
	index_dump_free(dump);
}

/* The index that is made of it takes the place of the old one. */
static void load_dump(struct fixture *f, struct span bytes)
{
	struct index_options options = {.hash_seed = 5};
	const struct index_load_owner owner = {.ctx = f, .read = owner_read};
	struct index_load *load = index_load_new(&f->memory, &options, &owner);
	struct search_budget budget = {.units = 3};
	uint32_t docid = 0;
	while (bytes.len > 0)
		cr_assert_eq(index_load_step(load, &bytes), OK);
	cr_assert_eq(index_load_tag(load), 99);
	uint32_t ids = index_load_ids(load);
	struct index *index = index_load_end(load);
	cr_assert_not_null(index);
	index_free(f->index);
	f->index = index;
	for (uint32_t i = 0; i < f->model.count; i++) {
		struct model_doc *doc = &f->model.docs[i];
		if (doc->docid >= ids)
			doc->live = !(doc->swept = true);
		if (doc->live && random_below(&f->model.random, 20) > 0)
			index_set_owner(index, doc->docid, (void *)(uintptr_t)(i + 1));
		else
			doc->live = false;
	}
	while (index_purge(index, &docid, ids, &budget) == ERR_AGAIN)
		;
}

static void dump_history(uint64_t seed, uint32_t docs, uint32_t vocabulary, int rounds)
{
	struct fixture f;
	struct buf out;
	fixture_init(&f, seed, vocabulary);
	buf_init(&out, &f.memory);
	for (int round = 0; round < rounds; round++) {
		for (uint64_t i = 1 + random_below(&f.model.random, docs); i > 0; i--)
			model_add(&f.model, f.index);
		for (uint64_t i = random_below(&f.model.random, docs / 2); i > 0; i--)
			model_remove(&f.model, f.index);
		if (random_below(&f.model.random, 2) == 0)
			sweep_all(&f);
		buf_clear(&out);
		dump_while_busy(&f, &out, round % 3);
		load_dump(&f, buf_span(&out));
		for (int i = 0; i < 20; i++)
			check_query(&f, 0);
	}
	buf_fini(&out);
	fixture_fini(&f);
}

Test(search_model, agrees_when_it_was_dumped_while_it_changed_and_loaded)
{
	for (uint64_t seed = 1; seed <= 40; seed++)
		dump_history(seed, 30, 20, 5);
	for (uint64_t seed = 100; seed <= 104; seed++)
		dump_history(seed, 1000, 60, 5);
	dump_history(500, 9000, 300, 5);
	dump_history(501, 14000, 40, 4);
}

/* A few documents that are put again and again leave only high ids. */
Test(search_model, agrees_when_only_late_documents_were_dumped)
{
	struct fixture f;
	struct buf out;
	fixture_init(&f, 78, 40);
	buf_init(&out, &f.memory);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 9 * WINDOW_DOCS; i++) {
			model_add(&f.model, f.index);
			cr_assert(model_remove(&f.model, f.index));
		}
		for (int i = 0; i < 50; i++)
			model_add(&f.model, f.index);
		if (round != 1)
			sweep_all(&f);
		buf_clear(&out);
		dump_while_busy(&f, &out, 0);
		load_dump(&f, buf_span(&out));
		for (int i = 0; i < 20; i++)
			check_query(&f, 0);
	}
	buf_fini(&out);
	fixture_fini(&f);
}

/* Whatever is cut off or changed: an error or an index, never a crash. */
Test(search_model, loads_no_index_from_half_a_dump)
{
	struct fixture f;
	struct buf out;
	fixture_init(&f, 9, 30);
	buf_init(&out, &f.memory);
	for (int i = 0; i < 700; i++)
		model_add(&f.model, f.index);
	dump_while_busy(&f, &out, 0);
	for (size_t len = 0; len < out.len; len += 1 + len / 40) {
		const struct index_options options = {.hash_seed = 5};
		const struct index_load_owner owner = {.ctx = &f, .read = owner_read};
		struct index_load *load = index_load_new(&f.memory, &options, &owner);
		struct span bytes = span_of(out.ptr, len);
		enum err err = OK;
		while (bytes.len > 0 && err == OK)
			err = index_load_step(load, &bytes);
		cr_assert_null(index_load_end(load));
	}
	buf_fini(&out);
	fixture_fini(&f);
}
