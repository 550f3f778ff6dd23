/* store/stats.h: what a store counts. Part of store.h. */
#pragma once
#include <stdint.h>

enum tier { TIER_HOT, TIER_WARM, TIER_COUNT };

enum { SYNC_BUCKETS = 26 };
struct store_stats {
	struct {
		uint64_t segments, bytes, live_bytes, dead_bytes, live_records, tombstones;
	} tier[TIER_COUNT];
	uint64_t appended_records, appended_bytes;       /* as the owner asked */
	uint64_t written_bytes;                          /* to the device, padding and all */
	uint64_t zeroed_bytes;                           /* of these: making new segments */
	uint64_t batches, syncs, sync_us_total, sync_us_max;
	uint64_t sync_us[SYNC_BUCKETS];   /* of those that took 2^i microseconds up to twice that */
	uint64_t record_reads, record_read_pieces;       /* records asked for, disk reads for them */
	uint64_t reads, read_bytes, corrupt_records, write_errors, read_errors;
	uint64_t segments_created, segments_recycled, segments_unlinked;
	uint64_t recovered_records, recovered_us, torn_bytes;
	uint64_t checkpoints, checkpoint_bytes, checkpoint_lsn;  /* lsn: replay starts here; 0: none */
	uint64_t lost_records, footers_written, footers_read, footers_missing;
	struct {
		uint64_t victims, evacuated;     /* segments taken up; left with nothing needed */
		uint64_t records, bytes;         /* copied, marks too */
		uint64_t marks, marks_dropped;
		uint64_t slice_us_max;           /* the longest time that all else had to wait */
		uint64_t free_segments, total_segments;      /* the hot tier's room */
		uint32_t duty_percent;           /* the part of the time that it works now; 0: at rest */
	} cleaner;
};
