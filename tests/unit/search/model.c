/* tests/unit/search/model.c: see model.h. */
#include "tests/unit/search/model.h"

#include "base/date.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_KINDS = 12, CAMERAS = 3 };

static const char *const cameras[CAMERAS] = {"Canon EOS 5D", "Nikon D850", "CANON PowerShot"};

void model_init(struct model *model, uint64_t seed, uint32_t vocabulary)
{
	*model = (struct model){.vocabulary = vocabulary};
	random_init(&model->random, seed);
}

void model_fini(struct model *model)
{
	free(model->docs);
}

static int below(struct model *model, int bound)
{
	return (int)random_below(&model->random, (uint64_t)bound);
}

/* Often a common one, sometimes a rare one. */
static uint16_t random_word(struct model *model)
{
	uint32_t range = model->vocabulary >> below(model, 6);
	return (uint16_t)below(model, range < 2 ? 2 : (int)range);
}

static size_t word_text(int word, char *out)
{
	return (size_t)sprintf(out, "%c%c%d", 'a' + word % 5, 'a' + word / 5 % 2, word);
}

/* "tag3" or "big tag4". */
size_t model_tag_text(int tag, char *out)
{
	return (size_t)sprintf(out, tag % 2 == 0 ? "big tag%d" : "tag%d", tag);
}

/* ---- Documents ------------------------------------------------------------------------ */

static uint32_t random_words(struct model *model, uint16_t *words, int max)
{
	uint32_t count = (uint32_t)below(model, max + 1);
	for (uint32_t i = 0; i < count; i++)
		words[i] = random_word(model);
	return count;
}

static void doc_random(struct model *model, struct model_doc *doc)
{
	*doc = (struct model_doc){.live = true, .camera = -1, .width = -1, .rating = -1, .taken_ms = -1};
	doc->title_count = random_words(model, doc->title, 8);
	doc->caption_count =
	    below(model, 3) == 0 ? random_words(model, doc->caption, MODEL_WORDS) : 0;
	doc->tag_count = (uint32_t)below(model, MODEL_TAGS + 1);
	for (uint32_t i = 0; i < doc->tag_count; i++)
		doc->tags[i] = (uint8_t)below(model, TAG_KINDS);
	if (below(model, 3) > 0)
		doc->camera = below(model, CAMERAS);
	if (below(model, 10) > 0)
		doc->width = below(model, 4000);
	if (below(model, 8) == 0)
		doc->rating = below(model, 5);
	if (below(model, 4) > 0)
		doc->taken_ms = date_days(2020, 1, 1) * 86400000 +
		    (int64_t)random_below(&model->random, 5LL * 365 * 86400000);
	doc->placed = below(model, 3) > 0;
	doc->lon = below(model, 3600) / 10.0 - 180;
	doc->lat = below(model, 1800) / 10.0 - 90;
}

static struct span words_text(const uint16_t *words, uint32_t count, char *out)
{
	size_t len = 0;
	for (uint32_t i = 0; i < count; i++) {
		len += word_text(words[i], out + len);
		out[len++] = i % 3 == 0 ? ',' : ' ';
	}
	return span_of(out, len);
}

struct model_doc *model_add(struct model *model, struct index *index)
{
	static const char title_name[] = "title";
	char title[512], caption[512], tags[MODEL_TAGS][32], rating[16];
	struct search_field fields[16];
	size_t count = 0;
	if (model->count == model->cap) {
		model->cap = model->cap * 2 + 64;
		model->docs = realloc(model->docs, model->cap * sizeof(*model->docs));
	}
	struct model_doc *doc = &model->docs[model->count++];
	doc_random(model, doc);
	fields[count++] = (struct search_field){.name = span_text(title_name), .kind = SEARCH_TEXT,
	    .text = words_text(doc->title, doc->title_count, title)};
	fields[count++] = (struct search_field){.name = SPAN_LIT("caption"), .kind = SEARCH_TEXT,
	    .text = words_text(doc->caption, doc->caption_count, caption)};
	for (uint32_t i = 0; i < doc->tag_count; i++)
		fields[count++] = (struct search_field){.name = SPAN_LIT("tags"),
		    .kind = SEARCH_TAG,
		    .text = span_of(tags[i], model_tag_text(doc->tags[i], tags[i]))};
	if (doc->camera >= 0)
		fields[count++] = (struct search_field){.name = SPAN_LIT("camera"),
		    .kind = SEARCH_TAG,
		    .text = span_text(cameras[doc->camera])};
	if (doc->width >= 0)
		fields[count++] = (struct search_field){.name = SPAN_LIT("width"),
		    .kind = SEARCH_NUMERIC, .number = doc->width};
	if (doc->rating >= 0)
		fields[count++] = (struct search_field){.name = SPAN_LIT("rating"),
		    .kind = SEARCH_ATTRIBUTE,
		    .text = span_of(rating, (size_t)sprintf(rating, "%d.5", doc->rating))};
	if (doc->taken_ms >= 0)
		fields[count++] = (struct search_field){
		    .name = SPAN_LIT("taken"), .kind = SEARCH_DATE, .date_ms = doc->taken_ms};
	if (doc->placed)
		fields[count++] = (struct search_field){.name = SPAN_LIT("location"),
		    .kind = SEARCH_GEO, .lon = doc->lon, .lat = doc->lat};
	if (index_add(index, fields, count, (void *)(uintptr_t)model->count, &doc->docid) != OK)
		abort();
	return doc;
}

bool model_remove(struct model *model, struct index *index)
{
	uint32_t from =
	    model->count == 0 ? 0 : (uint32_t)random_below(&model->random, model->count);
	for (uint32_t i = 0; i < model->count; i++) {
		struct model_doc *doc = &model->docs[(from + i) % model->count];
		if (!doc->live)
			continue;
		doc->live = false;
		index_remove(index, doc->docid);
		return true;
	}
	return false;
}

/* ---- Queries -------------------------------------------------------------------------- */

static int node_new(struct model_query *query, enum model_kind kind)
{
	query->nodes[query->count] = (struct model_node){.kind = kind, .fields = 15, .slop = -1,
	    .weight = 1};
	return query->count++;
}

/* Side by side in some document, as a rule. */
static void phrase_random(struct model *model, struct model_node *node)
{
	const struct model_doc *doc = &model->docs[below(model, (int)model->count)];
	node->item_count = 2 + below(model, 2);
	for (int i = 0; i < node->item_count; i++)
		node->items[i] = random_word(model);
	if (below(model, 6) == 0 || doc->title_count < (uint32_t)node->item_count)
		return;
	int from = below(model, (int)doc->title_count - node->item_count + 1);
	for (int i = 0; i < node->item_count; i++)
		node->items[i] = doc->title[from + i];
}

/* Sometimes with words between, in any order if none stands twice. */
static void phrase_loosen(struct model *model, struct model_node *node)
{
	bool repeats = false;
	for (int i = 0; i < node->item_count; i++)
		for (int j = 0; j < i; j++)
			repeats = repeats || node->items[i] == node->items[j];
	if (below(model, 2) == 0)
		return;
	node->slop = below(model, 4);
	node->any_order = !repeats && below(model, 2) == 0;
	if (node->any_order && below(model, 2) == 0) {
		int first = node->items[0];
		node->items[0] = node->items[1];
		node->items[1] = first;
	}
}

/* A pattern that fits one word at least. */
static void pattern_random(struct model *model, struct model_node *node)
{
	char *text = node->text;
	size_t len = word_text(random_word(model), text);
	text[len] = 0;
	node->pattern = below(model, 6);
	switch (node->pattern) {
	case 0: text[2 + below(model, 2)] = 0; break;
	case 1: memmove(text, text + 1, len); break;
	case 2:
		memmove(text, text + below(model, 2), len);
		text[2] = 0;
		break;
	case 3: case 4: text[below(model, (int)len)] = 'z'; break;
	default:
		text[1] = '?';
		if (below(model, 2) == 0)
			text[len - 1] = '*';
		break;
	}
}

static void leaf_random(struct model *model, struct model_node *node)
{
	if (below(model, 3) == 0)
		node->fields = (unsigned)below(model, 15) + 1;
	switch (node->kind) {
	case M_TERM:
		node->items[0] = random_word(model);
		break;
	case M_PHRASE:
		phrase_random(model, node);
		phrase_loosen(model, node);
		break;
	case M_PREFIX:
		pattern_random(model, node);
		break;
	case M_TAG:
		node->item_count = 1 + below(model, 3);
		for (int i = 0; i < node->item_count; i++) {
			node->items[i] = below(model, TAG_KINDS + 1);
			node->prefix[i] = below(model, 4) == 0;
		}
		break;
	case M_CAMERA:
		node->items[0] = below(model, CAMERAS);
		node->prefix[0] = below(model, 2) == 0;
		break;
	case M_GEO:
		node->lon = below(model, 360) - 180;
		node->lat = below(model, 180) - 90;
		node->km = below(model, 4000) + 100;
		break;
	case M_MISSING:
		node->missing = below(model, 8);
		break;
	default:                          /* ranges */
		node->items[0] = below(model,
		    node->kind == M_WIDTH       ? 4000
		        : node->kind == M_TAKEN ? 60
		                                : 6);
		node->items[1] = node->items[0] +
		    below(model, node->kind == M_WIDTH ? 2000 : node->kind == M_TAKEN ? 24 : 3);
		node->prefix[0] = below(model, 3) == 0;       /* exclusive */
		node->prefix[1] = below(model, 3) == 0;
		break;
	}
}

/* Trees without recursion: leaves first, then joins until one is left. */
void model_query_random(struct model *model, struct model_query *query)
{
	int open[MODEL_NODES], count = 0, leaves = 1 + below(model, 6);
	query->count = 0;
	for (int i = 0; i < leaves; i++) {
		int roll = below(model, 24);
		enum model_kind kind = roll < 9 ? M_TERM : roll < 12 ? M_PHRASE
		    : (enum model_kind)(roll - 10);
		if (kind > M_ALL)
			kind = M_TERM;
		open[count++] = node_new(query, kind);
		leaf_random(model, &query->nodes[open[count - 1]]);
		query->nodes[open[count - 1]].weight = below(model, 5) == 0 ? 1 + below(model, 3) : 1;
	}
	while (count > 1 || below(model, 6) == 0) {
		int roll = below(model, 10), take = 1 + below(model, 3);
		enum model_kind kind = roll < 4 ? M_AND
		    : roll < 7                  ? M_OR
		    : roll < 9                  ? M_NOT
		                                : M_OPTIONAL;
		if (query->count + 2 >= MODEL_NODES)
			break;
		if (kind >= M_NOT)
			take = 1;
		else if (take < 2)
			take = 2;
		if (take > count)
			continue;
		int node = node_new(query, kind);
		for (int i = 0; i < take; i++)
			query->nodes[node].children[query->nodes[node].child_count++] =
			    open[--count];
		open[count++] = node;
	}
	query->root = open[0];
}

static void print_fields(const struct model_node *node, struct buf *out)
{
	static const char *const names[] = {"title", "caption", "tags", "camera"};
	const char *before = "@";
	if (node->fields == 15)
		return;
	for (int i = 0; i < 4; i++) {
		if ((node->fields >> i & 1) == 0)
			continue;
		buf_printf(out, "%s%s", before, names[i]);
		before = "|";
	}
	buf_append_text(out, ":");
}

static void print_range(const struct model_node *node, struct buf *out)
{
	const char *low = node->prefix[0] ? "(" : "", *high = node->prefix[1] ? "(" : "";
	if (node->kind == M_TAKEN)
		buf_printf(out, "@taken:[%s%d-%02d %s%d-%02d]", low, 2020 + node->items[0] / 12,
		    node->items[0] % 12 + 1, high, 2020 + node->items[1] / 12,
		    node->items[1] % 12 + 1);
	else
		buf_printf(out, "@%s:[%s%d %s%d]", node->kind == M_WIDTH ? "width" : "rating", low,
		    node->items[0], high, node->items[1]);
}

static const char *missing_name(int missing)
{
	static const char *const names[] = {"title", "caption", "tags", "camera", "width", "taken",
	    "location", "rating"};
	return names[missing];
}

static void print_leaf(const struct model_node *node, struct buf *out)
{
	static const char *const marks[] = {"%s*", "*%s", "*%s*", "%%%s%%", "%%%%%s%%%%", "w'%s'"};
	char text[32];
	switch (node->kind) {
	case M_TERM:
		print_fields(node, out);
		word_text(node->items[0], text);
		buf_append_text(out, text);
		break;
	case M_PHRASE:
		print_fields(node, out);
		for (int i = 0; i < node->item_count; i++) {
			word_text(node->items[i], text);
			buf_printf(out, "%s%s", i == 0 ? "\"" : " ", text);
		}
		buf_append_text(out, "\"");
		if (node->slop >= 0)
			buf_printf(out, "=>{$slop:%d;$inorder:%s; $weight:%d}", node->slop,
			    node->any_order ? "false" : "true", node->weight);
		break;
	case M_PREFIX:
		print_fields(node, out);
		buf_printf(out, marks[node->pattern], node->text);
		break;
	case M_TAG:
		for (int i = 0; i < node->item_count; i++) {
			text[model_tag_text(node->items[i], text)] = 0;
			if (node->prefix[i])
				text[3] = 0;
			buf_printf(out, "%s%s%s", i == 0 ? "@tags:{" : "|", text,
			    node->prefix[i] ? "*" : "");
		}
		buf_append_text(out, "}");
		break;
	case M_CAMERA:
		buf_printf(out, "@camera:{%.*s%s}", node->prefix[0] ? 5 : 99,
		    cameras[node->items[0]], node->prefix[0] ? "*" : "");
		break;
	case M_GEO:
		buf_printf(out, "@location:[%g %g %g km]", node->lon, node->lat, node->km);
		break;
	case M_MISSING:
		buf_printf(out, "ismissing(@%s)", missing_name(node->missing));
		break;
	case M_ALL:
		buf_append_text(out, "*");
		break;
	default:
		print_range(node, out);
		break;
	}
}

void model_query_print(const struct model_query *query, struct buf *out)
{
	struct { int node, child; } stack[MODEL_NODES];
	int depth = 0;
	stack[depth].node = query->root;
	stack[depth++].child = 0;
	while (depth > 0) {
		const struct model_node *node = &query->nodes[stack[depth - 1].node];
		int child = stack[depth - 1].child++;
		if (node->child_count == 0) {
			print_leaf(node, out);
			if (node->weight != 1 && node->slop < 0)
				buf_printf(out, "=>{$weight:%d}", node->weight);
			depth--;
			continue;
		}
		if (child == 0)
			buf_append_text(out,
			    node->kind == M_NOT            ? "-("
			        : node->kind == M_OPTIONAL ? "~("
			                                   : "(");
		if (child == node->child_count) {
			buf_append_text(out, ")");
			depth--;
			continue;
		}
		if (child > 0)
			buf_append_text(out, node->kind == M_OR ? "|" : " ");
		stack[depth].node = node->children[child];
		stack[depth++].child = 0;
	}
}

/* ---- Searching -------------------------------------------------------------------------- */

/* All words of a document in reading order; a negative one stops phrases. */
struct stream {
	int      words[256];
	unsigned fields[256];
	int      count, length;
};

enum { WORD_BIG = 100000, WORD_TAG = 100001, WORD_CAMERA = 200000, WORD_STOP = -1 };

static void stream_put(struct stream *stream, int word, unsigned field)
{
	stream->words[stream->count] = word;
	stream->fields[stream->count++] = field;
	stream->length += word != WORD_STOP;
}

static void doc_stream(const struct model_doc *doc, struct stream *stream)
{
	static const int camera_words[CAMERAS] = {3, 2, 2};
	stream->count = stream->length = 0;
	for (uint32_t i = 0; i < doc->title_count; i++)
		stream_put(stream, doc->title[i], 1);
	stream_put(stream, WORD_STOP, 1);
	for (uint32_t i = 0; i < doc->caption_count; i++)
		stream_put(stream, doc->caption[i], 2);
	stream_put(stream, WORD_STOP, 2);
	for (uint32_t i = 0; i < doc->tag_count; i++) {
		if (doc->tags[i] % 2 == 0)
			stream_put(stream, WORD_BIG, 4);
		stream_put(stream, WORD_TAG + doc->tags[i], 4);
		stream_put(stream, WORD_STOP, 4);
	}
	for (int i = 0; doc->camera >= 0 && i < camera_words[doc->camera]; i++)
		stream_put(stream, WORD_CAMERA + 10 * doc->camera + i, 8);
}

struct statistics {
	double   docs, mean;
	uint32_t *df;                     /* of vocabulary words */
};

static bool doc_has_word(const struct model_doc *doc, int word)
{
	for (uint32_t i = 0; i < doc->title_count; i++)
		if (doc->title[i] == word)
			return true;
	for (uint32_t i = 0; i < doc->caption_count; i++)
		if (doc->caption[i] == word)
			return true;
	return false;
}

static double statistics_df(struct model *model, int word)
{
	double df = 0;
	for (uint32_t i = 0; i < model->count; i++)
		df += !model->docs[i].swept && doc_has_word(&model->docs[i], word);
	return df;
}

static double bm25(const struct stream *stream, int word, double df, const struct statistics *all)
{
	double tf = 0;
	for (int i = 0; i < stream->count; i++)
		tf += stream->words[i] == word;
	df = df < all->docs ? df : all->docs;
	double idf = log(1 + (all->docs - df + 0.5) / (df + 0.5));
	double norm = 1.2 * (1 - 0.75 + 0.75 * stream->length / all->mean);
	return tf == 0 ? 0 : idf * tf * 2.2 / (tf + norm);
}

static bool has_phrase(const struct stream *stream, const struct model_node *node, int count)
{
	for (int i = 0; i + count <= stream->count; i++) {
		int matched = 0;
		while (matched < count && stream->words[i + matched] == node->items[matched])
			matched++;
		if (matched == count && (stream->fields[i] & node->fields) != 0)
			return true;
	}
	return false;
}

/* Places of the words of a phrase, one each: first come, in order or not, in one field, so
 * many others between. A stop stands between fields and between tags: far apart. */
static bool has_near(const struct stream *stream, const struct model_node *node, int at[], int depth)
{
	int count = node->item_count, least = at[0], most = at[0];
	if (depth == count || depth == MODEL_ITEMS) {
		for (int i = 0; i < count && i < MODEL_ITEMS; i++) {
			least = at[i] < least ? at[i] : least;
			most = at[i] > most ? at[i] : most;
			if (i > 0 && !node->any_order && at[i] <= at[i - 1])
				return false;
		}
		for (int i = least; i <= most; i++)
			if (stream->words[i] == WORD_STOP)
				return false;
		return most - least - (count - 1) <= node->slop &&
		    (stream->fields[least] & node->fields) != 0;
	}
	for (at[depth] = 0; at[depth] < stream->count; at[depth]++)
		if (stream->words[at[depth]] == node->items[depth] &&
		    has_near(stream, node, at, depth + 1))
			return true;
	return false;
}

static int edit_distance(const char *a, const char *b)
{
	int table[34][34], n = (int)strlen(a), m = (int)strlen(b);
	for (int i = 0; i <= n; i++)
		for (int j = 0; j <= m; j++) {
			int best = i == 0 ? j : j == 0 ? i : table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (i > 0 && j > 0 && table[i - 1][j] + 1 < best)
				best = table[i - 1][j] + 1;
			if (i > 0 && j > 0 && table[i][j - 1] + 1 < best)
				best = table[i][j - 1] + 1;
			table[i][j] = best;
		}
	return table[n][m];
}

static bool fits_wildcard(const char *text, const char *pattern)
{
	if (*pattern == 0)
		return *text == 0;
	if (*pattern == '*')
		return fits_wildcard(text, pattern + 1) ||
		    (*text != 0 && fits_wildcard(text + 1, pattern));
	return *text != 0 && (*pattern == '?' || *pattern == *text) &&
	    fits_wildcard(text + 1, pattern + 1);
}

static bool fits(const char *text, const struct model_node *node)
{
	size_t len = strlen(text), part = strlen(node->text);
	switch (node->pattern) {
	case 0: return strncmp(text, node->text, part) == 0;
	case 1: return len >= part && strcmp(text + len - part, node->text) == 0;
	case 2: return strstr(text, node->text) != NULL;
	case 3: case 4: return edit_distance(text, node->text) <= node->pattern - 2;
	default: return fits_wildcard(text, node->text);
	}
}

static bool has_prefix(const struct stream *stream, const struct model_node *node)
{
	static const char *const words[CAMERAS][3] = {{"canon", "eos", "5d"}, {"nikon", "d850", ""},
	    {"canon", "powershot", ""}};
	char text[32];
	for (int i = 0; i < stream->count; i++) {
		int word = stream->words[i];
		if (word == WORD_STOP || (stream->fields[i] & node->fields) == 0)
			continue;
		if (word >= WORD_CAMERA)
			strcpy(text, words[(word - WORD_CAMERA) / 10][(word - WORD_CAMERA) % 10]);
		else if (word == WORD_BIG)
			strcpy(text, "big");
		else if (word >= WORD_TAG)
			sprintf(text, "tag%d", word - WORD_TAG);
		else
			text[word_text(word, text)] = 0;
		if (fits(text, node))
			return true;
	}
	return false;
}

static bool has_tag(const struct model_doc *doc, const struct model_node *node)
{
	char have[32], want[32];
	for (uint32_t i = 0; i < doc->tag_count; i++) {
		have[model_tag_text(doc->tags[i], have)] = 0;
		for (int j = 0; j < node->item_count; j++) {
			want[model_tag_text(node->items[j], want)] = 0;
			if (node->prefix[j] ? strncmp(have, want, 3) == 0 : strcmp(have, want) == 0)
				return true;
		}
	}
	return false;
}

static bool in_range(double value, const struct model_node *node)
{
	return (node->prefix[0] ? value > node->items[0] : value >= node->items[0]) &&
	    (node->prefix[1] ? value < node->items[1] : value <= node->items[1]);
}

static double distance_km(double lon1, double lat1, double lon2, double lat2)
{
	double r = M_PI / 180, x = (lat2 - lat1) * r / 2, y = (lon2 - lon1) * r / 2;
	double a = sin(x) * sin(x) + cos(lat1 * r) * cos(lat2 * r) * sin(y) * sin(y);
	return 2 * 6372.797560856 * asin(sqrt(a > 1 ? 1 : a));
}

static bool is_missing(const struct model_doc *doc, int missing)
{
	switch (missing) {
	case 0: return doc->title_count == 0;
	case 1: return doc->caption_count == 0;
	case 2: return doc->tag_count == 0;
	case 3: return doc->camera < 0;
	case 4: return doc->width < 0;
	case 5: return doc->taken_ms < 0;
	case 6: return !doc->placed;
	default: return doc->rating < 0;
	}
}

static bool leaf_matches(const struct model_doc *doc, const struct stream *stream,
    const struct model_node *node)
{
	int64_t year;
	int month, day;
	switch (node->kind) {
	case M_TERM: return has_phrase(stream, node, 1);
	case M_PHRASE: {
		int at[MODEL_ITEMS];
		return node->slop >= 0 ? has_near(stream, node, at, 0)
		                       : has_phrase(stream, node, node->item_count);
	}
	case M_PREFIX: return has_prefix(stream, node);
	case M_TAG: return has_tag(doc, node);
	case M_CAMERA:
		return doc->camera >= 0 &&
		    (doc->camera == node->items[0] ||
		        (node->prefix[0] &&
		            strncasecmp(cameras[doc->camera], cameras[node->items[0]], 5) == 0));
	case M_WIDTH: return doc->width >= 0 && in_range(doc->width, node);
	case M_RATING: return doc->rating >= 0 && in_range(doc->rating + 0.5, node);
	case M_TAKEN:
		if (doc->taken_ms < 0)
			return false;
		date_civil(doc->taken_ms / 86400000, &year, &month, &day);
		return in_range((double)((year - 2020) * 12 + month - 1), node);
	case M_GEO:
		return doc->placed &&
		    distance_km(node->lon, node->lat, doc->lon, doc->lat) <= node->km;
	case M_MISSING: return is_missing(doc, node->missing);
	default: return true;
	}
}

/* Children stand before their parents. */
static bool doc_matches(const struct model_doc *doc, const struct model_query *query,
    const struct statistics *all, double df[MODEL_NODES][MODEL_ITEMS], double *score)
{
	bool match[MODEL_NODES];
	double scores[MODEL_NODES];
	struct stream stream;
	doc_stream(doc, &stream);
	for (int i = 0; i < query->count; i++) {
		const struct model_node *node = &query->nodes[i];
		scores[i] = 0;
		match[i] = node->kind == M_OR ? false : node->kind >= M_ALL ? true
		    : leaf_matches(doc, &stream, node);
		for (int j = 0; j < node->child_count; j++) {
			int child = node->children[j];
			if (node->kind == M_AND)
				match[i] = match[i] && match[child];
			else if (node->kind == M_OR)
				match[i] = match[i] || match[child];
			else if (node->kind == M_NOT)
				match[i] = !match[child];
			if (node->kind != M_NOT && match[child])
				scores[i] += scores[child];
		}
		int words = node->kind == M_TERM ? 1
		    : node->kind == M_PHRASE     ? node->item_count
		                                 : 0;
		for (int j = 0; j < words && match[i]; j++)
			scores[i] += bm25(&stream, node->items[j], df[i][j], all);
		if (node->kind == M_PREFIX && match[i])
			scores[i] = 1;
		scores[i] *= node->weight;
	}
	*score = scores[query->root];
	return match[query->root];
}

uint32_t model_search(struct model *model, const struct model_query *query, struct model_hit *hits)
{
	double df[MODEL_NODES][MODEL_ITEMS] = {0};
	struct statistics all = {0};
	struct stream stream;
	uint32_t count = 0;
	for (uint32_t i = 0; i < model->count; i++) {
		if (!model->docs[i].live)
			continue;
		doc_stream(&model->docs[i], &stream);
		all.docs++;
		all.mean += stream.length;
	}
	all.mean = all.mean > 0 ? all.mean / all.docs : 1;
	for (int i = 0; i < query->count; i++) {
		const struct model_node *node = &query->nodes[i];
		int words = node->kind == M_TERM ? 1
		    : node->kind == M_PHRASE     ? node->item_count
		                                 : 0;
		for (int j = 0; j < words; j++)
			df[i][j] = statistics_df(model, node->items[j]);
	}
	for (uint32_t i = model->count; i-- > 0;) {
		double score;
		if (!model->docs[i].live || !doc_matches(&model->docs[i], query, &all, df, &score))
			continue;
		hits[count++] = (struct model_hit){&model->docs[i], score};
	}
	return count;
}
