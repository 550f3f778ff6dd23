/* search/prune.c: see prune.h.
 *
 * The bits of a dense word tell whether a document has it once, which with its length gives the
 * score, or more often, which bounds it. So there is a length for each class above which all are
 * hopeless, and 64 documents are compared with it at a time: their lengths lie side by side.
 */
#include "search/run.h"
#include "search/simd.h"

enum { OPEN_FEW = 12 };

static void prune_offer(const struct search *search, struct dense_prune *prune,
    const struct cursor *cursor)
{
	bool drives = search->lists && cursor == search->driver;
	if (cursor->term->list.bits == NULL && !drives)
		return;
	uint32_t at = prune->count < PRUNE_WORDS ? prune->count++ : PRUNE_WORDS - 1;
	if (prune->cursors[at] != NULL && prune->cursors[at]->bound >= cursor->bound)
		return;
	for (; at > 0 && prune->cursors[at - 1]->bound < cursor->bound; at--)
		prune->cursors[at] = prune->cursors[at - 1];
	prune->cursors[at] = cursor;
}

/* The dense words that every result has, those that can add most first. */
static void prune_make(const struct search *search, struct dense_prune *prune)
{
	const struct node *root = search_root(search);
	*prune = (struct dense_prune){.is_made = true, .others = root->bound * search->slack,
	    .threshold = -1};
	for (uint32_t i = 0; root->kind == QUERY_PHRASE && i < root->cursor_count; i++)
		prune_offer(search, prune, &root->cursors[i]);
	for (uint32_t i = 0; root->kind == QUERY_AND && i < root->child_count; i++) {
		const struct node *child = &search->nodes[search->order[root->first_child + i]];
		if (child->kind == QUERY_TERM && child->mask == FIELD_ANY && child->scores &&
		    child->cursor_count == 1)
			prune_offer(search, prune, &child->cursors[0]);
	}
	for (uint32_t i = 0; i < prune->count; i++)
		prune->others -= prune->cursors[i]->bound;
}

static float class_bound(const struct search *search, const struct dense_prune *prune,
    uint32_t class, uint32_t length)
{
	float sum = prune->others;
	for (uint32_t i = 0; i < prune->count; i++) {
		const struct cursor *cursor = prune->cursors[i];
		uint8_t tf = (class >> i & 1) != 0 ? cursor->term->list.best.tf_max : 1;
		sum += term_score(search, cursor->weight, tf, length);
	}
	return sum;
}

/* By halves. LENGTH_LONG: also those that are longer. */
static int class_length(const struct search *search, const struct dense_prune *prune, uint32_t class)
{
	int low = -1, high = LENGTH_LONG;
	while (low < high) {
		int middle = (low + high + 1) / 2;
		if (is_hopeless(search, class_bound(search, prune, class, (uint32_t)middle)))
			high = middle - 1;
		else
			low = middle;
	}
	return low;
}

/* Those of a window that are not too long. */
static void short_enough(const struct doc_window *docs, int length_max, uint64_t bits[WINDOW_WORDS])
{
	if (length_max < 0)
		memset(bits, 0, WINDOW_WORDS * sizeof(*bits));
	else if (length_max >= LENGTH_LONG)
		memset(bits, 0xff, WINDOW_WORDS * sizeof(*bits));
	else
		simd_bytes_upto(docs->lengths, (uint8_t)length_max, bits);
}

/* For the threshold of now. */
static void prune_ready(struct search *search, struct dense_prune *prune)
{
	if (!prune->is_made)
		prune_make(search, prune);
	for (uint32_t i = 0; i < PRUNE_CLASSES && prune->threshold != search->threshold; i++)
		prune->length_max[i] = class_length(search, prune, i);
	prune->threshold = search->threshold;
}

/* The class of a document, of which `known` is what is known so far of words in `which`. */
static uint32_t dense_class(
    const struct dense_prune *prune, uint32_t known, uint32_t which, uint32_t docid)
{
	for (uint32_t i = 0; i < prune->count; i++)
		if ((which >> i & 1) != 0)
			known |= (uint32_t)(dense_tf(&prune->cursors[i]->term->list, docid) > 1) << i;
	return known;
}

/* Is a document of a batch short enough? Its length mostly tells, without a look at how often it has
 * the dense words. */
static bool list_may_enter(const struct search *search, const struct dense_prune *prune, uint32_t slot)
{
	uint32_t docid = search->docids[slot], class = 0, open = 0;
	for (uint32_t i = 0; i < prune->count; i++) {
		const struct cursor *cursor = prune->cursors[i];
		const struct posting_run *run = &cursor->run;
		bool drives = cursor == search->driver;
		bool here = drives && run->part >= PART_TFS && slot < run->count &&
		    run->docids[slot] == docid;
		if (here)
			class |= (uint32_t)(run->tfs[slot] > 1) << i;
		else if (!drives && cursor->term->list.bits != NULL)
			open |= 1u << i;
		else
			return true;      /* the run has gone, or it is no longer dense */
	}
	uint32_t length = docs_length(&search->index->docs, docid);
	int most = (int)(length < LENGTH_LONG ? length : LENGTH_LONG);
	if (most <= prune->length_max[class])
		return true;
	return most <= prune->length_max[class | open] &&
	    most <= prune->length_max[dense_class(prune, class, open, docid)];
}

void prune_list(struct search *search, uint64_t *mask)
{
	struct dense_prune *prune = &search->prune;
	ASSERT(search->prunes && search->lists);
	prune_ready(search, prune);
	if (prune->count == 0)
		return;
	if (search->driver->run_at == search->driver_run &&
	    search->driver->version == search->driver->term->list.version)
		cursor_load(search->driver, search->driver_run, PART_TFS);
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (list_may_enter(search, prune, slot))
				continue;
			mask[word] &= ~(bits & -bits);
			search_skip(search);
		}
	}
}

/* Of the documents in `open`, which are short enough for some class: for theirs. */
static void window_keep_open(const struct search *search, const struct dense_prune *prune,
    const uint64_t *open, uint64_t *kept)
{
	const struct doc_window *docs = docs_window(&search->index->docs, search->window);
	uint64_t more[PRUNE_WORDS][WINDOW_WORDS], fits[WINDOW_WORDS];
	for (uint32_t i = 0; i < prune->count; i++)
		dense_more_bits(&prune->cursors[i]->term->list, search->window, more[i]);
	if (prune->count == 1)
		memset(more[1], 0, sizeof(more[1]));
	/* None of class 0 is short enough. */
	for (uint32_t class = 1; class < PRUNE_CLASSES; class++) {
		short_enough(docs, prune->length_max[class], fits);
		uint64_t first = (class & 1) != 0 ? 0 : ~0ULL, second = (class & 2) != 0 ? 0 : ~0ULL;
		for (uint32_t word = 0; word < WINDOW_WORDS; word++)
			kept[word] |= open[word] & fits[word] & (more[0][word] ^ first) &
			    (more[1][word] ^ second);
	}
}

/* The same where there are few of them. */
static void window_keep_few(const struct search *search, const struct dense_prune *prune,
    const uint64_t *open, uint64_t *kept)
{
	const struct doc_window *docs = docs_window(&search->index->docs, search->window);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		for (uint64_t bits = open[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t class = dense_class(prune, 0, PRUNE_CLASSES - 1, search->low + slot);
			if (docs->lengths[slot] <= prune->length_max[class])
				kept[word] |= bits & -bits;
		}
	}
}

void prune_window(struct search *search, uint64_t *mask)
{
	struct dense_prune *prune = &search->prune;
	const struct doc_window *docs = docs_window(&search->index->docs, search->window);
	uint64_t kept[WINDOW_WORDS], open[WINDOW_WORDS], lost = 0;
	uint32_t open_count = 0;
	ASSERT(search->prunes && !search->lists);
	prune_ready(search, prune);
	if (prune->count == 0 || docs == NULL)
		return;
	for (uint32_t i = 0; i < prune->count; i++)
		if (prune->cursors[i]->term->list.bits == NULL)
			return;           /* no longer dense */
	short_enough(docs, prune->length_max[0], kept);
	short_enough(docs, prune->length_max[PRUNE_CLASSES - 1], open);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		kept[word] &= mask[word];
		open[word] &= mask[word] & ~kept[word];
		open_count += (uint32_t)__builtin_popcountll(open[word]);
	}
	if (open_count > OPEN_FEW)
		window_keep_open(search, prune, open, kept);
	else if (open_count > 0)
		window_keep_few(search, prune, open, kept);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		lost |= mask[word] & ~kept[word];
		mask[word] = kept[word];
	}
	if (lost != 0)
		search_skip(search);
}

static bool length_is_hopeless(const struct search *search, const struct cursor *cursor, uint32_t tf,
    int length, float others)
{
	float score = term_score(search, cursor->weight, (uint8_t)tf, (uint32_t)length);
	return is_hopeless(search, score + others);
}

/* How long a document may be; see class_length. Solved for the length, then made exact. */
static int word_length(const struct search *search, const struct cursor *cursor, uint32_t tf,
    float others)
{
	float most = search->threshold / search->slack - others, solved = LENGTH_LONG;
	if (most > 0 && search->norm_slope > 0)
		solved = ((cursor->weight / most - 1) * (float)tf - search->norm_base) /
		    search->norm_slope;
	int length = solved < -1 ? -1 : solved > LENGTH_LONG ? LENGTH_LONG : (int)solved;
	while (length >= 0 && length_is_hopeless(search, cursor, tf, length, others))
		length--;
	while (length < LENGTH_LONG && !length_is_hopeless(search, cursor, tf, length + 1, others))
		length++;
	return length;
}

static void limits_make(const struct search *search, struct cursor *cursor, float others)
{
	struct length_limits *limits = &cursor->limits;
	uint32_t most = cursor->term->list.best.tf_max;
	if (limits->is_made && limits->threshold == search->threshold && limits->others == others)
		return;
	*limits = (struct length_limits){.is_made = true, .threshold = search->threshold,
	    .others = others};
	for (uint32_t tf = 1; tf < DENSE_TF_MAX; tf++)
		limits->length_max[tf] = tf > most ? limits->length_max[most]
		    : (int16_t)word_length(search, cursor, tf, others);
	limits->length_max[DENSE_TF_MAX] = LENGTH_LONG;
}

/* Those that have the word once go by their length, 64 at a time; the others one by one. */
void prune_word(struct search *search, struct node *node, uint64_t *mask)
{
	struct cursor *cursor = &node->cursors[0];
	const struct doc_window *docs = docs_window(&search->index->docs, search->window);
	const struct dense_more *more = cursor->term->list.bits->more[search->window];
	uint64_t kept[WINDOW_WORDS], lost = 0;
	/* Of documents that have a score already, more is known than this. */
	float others = node->in_order ? node->here.after : others_here(search, node);
	limits_make(search, cursor, others);
	const int16_t *length_max = cursor->limits.length_max;
	if (docs == NULL || length_max[1] == LENGTH_LONG)
		return;
	short_enough(docs, length_max[1], kept);
	for (uint32_t word = 0; word < WINDOW_WORDS && node->in_order; word++)
		kept[word] |= search->touched[word];
	for (uint32_t i = 0; more != NULL && i < more->count; i++) {
		uint32_t slot = more->at[i] >> DENSE_TF_BITS, tf = more->at[i] & DENSE_TF_MAX;
		kept[slot / 64] |= (uint64_t)(docs->lengths[slot] <= length_max[tf]) << (slot % 64);
	}
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		lost |= mask[word] & ~kept[word];
		mask[word] &= kept[word];
	}
	if (lost != 0)
		search_skip(search);
}
