/* commands/image_search.h: what the files of IMG.SEARCH share: its words, and one search from
 * command to reply. */
#pragma once
#include "commands/image.h"

enum { RETURN_MAX = 64, PARAMS_MAX = 64, METADATA_READS_MAX = 64 };

struct search_words {
	bool     no_content, with_scores, has_return, has_limit;
	bool     verbatim, no_stop_words;         /* words of the query stay what they are */
	uint32_t return_from, return_count;
	uint64_t offset, limit, timeout_ms;
	struct span sort_field;
	bool     sort_descending;
	enum search_count count;
	uint32_t keys_from, keys_count;
	struct query_param params[PARAMS_MAX];
	size_t   param_count;
	uint32_t facets_from, facets_count;
	bool     highlight;
	uint32_t marked_from, marked_count;       /* HIGHLIGHT FIELDS; 0: all that are texts */
	struct span marks[2];                     /* TAGS; before a word and behind it */
	bool     explain, profile;
	bool     similar;
	struct span similar_key;
	uint64_t similar_distance;
};

struct search_hit_data {
	struct metadata_load load;
	struct search_job   *job;
	struct info_source   source;
	struct body         *encoded;
	struct entry        *entry;
	struct span          key;
	double               score;
	bool                 has_load;
	enum err             err;
};

struct search_job {
	struct engine       *engine;
	struct slot         *slot;        /* NULL while the command itself runs */
	struct call         *call;
	struct search_task   task;
	struct search_results results;
	struct search_words  words;
	uint64_t             total;
	bool                 total_is_exact;
	struct search_hit_data *hits;
	size_t               hit_count, next_load;
	uint32_t             loading;
	/* copies of the arguments that must outlive the call */
	uint32_t             argc;
	struct span         *argv;
	size_t               argv_bytes, bytes;
	struct directory    *keys;        /* INKEYS */
	struct reply         facets;      /* written when the search ended */
	struct buf           plan;        /* PROFILE: as the search began */
	struct search_profile profile;
	struct profile      *ft_profile;  /* NULL, or FT.PROFILE's */
};

/* The words behind the query. False: an error was replied. (image_search_words.c) */
bool image_search_words(struct call *call, struct search_words *words);

/* (image_search_reply.c) The facets, while the search is there; the whole reply. */
void image_search_facets(struct search_job *job, uint8_t resp);
void image_search_reply(struct reply *reply, struct search_job *job);
