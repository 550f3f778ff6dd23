/* io/sim_disk.c: the content of simulated files, sector by sector, and what a power cut or
 * a failed sync leaves of it. Names are in sim_names.c. */
#include "base/arith.h"
#include "io/sim_machine.h"

#include <string.h>

struct sim_disk *sim_disk_new(uint64_t seed)
{
	struct memory memory = {0};
	struct sim_disk *disk = memory_zalloc(&memory, sizeof(*disk));
	disk->magic = SIM_DISK_MAGIC;
	disk->memory = memory;
	disk->capacity = 16ULL << 30;
	random_init(&disk->random, seed);
	list_init(&disk->files);
	list_init(&disk->names);
	list_init(&disk->names_durable);
	list_init(&disk->changes);
	sim_set_faults(disk, &(struct sim_faults){0});
	return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	ASSERT(disk->sim == NULL);
	sim_names_free(disk);
	while (!list_is_empty(&disk->files))
		sim_file_free(disk, LIST_OF(disk->files.next, struct sim_file, link));
	DROP_OBJ(disk, SIM_DISK_MAGIC);
	struct memory memory = disk->memory;
	memory_free(&memory, disk, sizeof(*disk));
}

void sim_set_faults(struct sim_disk *disk, const struct sim_faults *faults)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	ASSERT(faults->latency_us_min <= faults->latency_us_max);
	disk->faults = *faults;
	if (faults->latency_us_max == 0) {
		disk->faults.latency_us_min = 20;
		disk->faults.latency_us_max = 400;
	}
}

void sim_fail_call(struct sim_disk *disk, enum sim_fault fault, uint64_t n)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	ASSERT(fault < SIM_FAULT_COUNT);
	disk->fail_in[fault] = n;
}

uint64_t sim_fault_count(const struct sim_disk *disk, enum sim_fault fault)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	ASSERT(fault < SIM_FAULT_COUNT);
	return disk->fault_count[fault];
}

void sim_set_capacity(struct sim_disk *disk, uint64_t bytes)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	disk->capacity = bytes;
}

bool sim_strikes(struct sim_disk *disk, enum sim_fault fault)
{
	bool strikes = disk->fail_in[fault] > 0 && --disk->fail_in[fault] == 0;
	uint32_t chance = disk->faults.chance_ppm[fault];
	if (chance > 0 && random_below(&disk->random, 1000000) < chance)
		strikes = true;
	disk->fault_count[fault] += strikes;
	return strikes;
}

/* ---- Content ------------------------------------------------------------------------ */

static const uint8_t *sector_content(const struct sim_sector *sector)
{
	return sector->cached != NULL ? sector->cached : sector->durable;
}

void sim_file_read(const struct sim_file *file, uint64_t offset, struct span to)
{
	uint8_t *out = (uint8_t *)(uintptr_t)to.ptr;
	for (size_t done = 0; done < to.len;) {
		uint64_t at = offset + done;
		size_t within = at % SIM_SECTOR, index = at / SIM_SECTOR;
		size_t len = min_u64(SIM_SECTOR - within, to.len - done);
		const uint8_t *content =
		    index < file->sector_count ? sector_content(&file->sectors[index]) : NULL;
		if (content != NULL)
			memcpy(out + done, content + within, len);
		else
			memset(out + done, 0, len);
		done += len;
	}
}

static void sectors_reserve(struct sim_disk *disk, struct sim_file *file, uint64_t bytes)
{
	size_t need = (size_t)((bytes + SIM_SECTOR - 1) / SIM_SECTOR);
	if (need <= file->sector_count)
		return;
	size_t old = file->sector_count * sizeof(*file->sectors);
	file->sectors = memory_resize(&disk->memory, file->sectors, old,
	    need * sizeof(*file->sectors));
	memset(file->sectors + file->sector_count, 0,
	    (need - file->sector_count) * sizeof(*file->sectors));
	file->sector_count = need;
}

/* The cached content of a sector, to be written to. */
static uint8_t *sector_dirty(struct sim_disk *disk, struct sim_sector *sector)
{
	sector->dirty = true;
	if (sector->cached != NULL)
		return sector->cached;
	sector->cached = memory_alloc(&disk->memory, SIM_SECTOR);
	if (sector->durable != NULL)
		memcpy(sector->cached, sector->durable, SIM_SECTOR);
	else
		memset(sector->cached, 0, SIM_SECTOR);
	return sector->cached;
}

void sim_file_write(struct sim_disk *disk, struct sim_file *file, uint64_t offset,
    struct span bytes)
{
	sectors_reserve(disk, file, offset + bytes.len);
	for (size_t done = 0; done < bytes.len;) {
		uint64_t at = offset + done;
		size_t within = at % SIM_SECTOR;
		size_t len = min_u64(SIM_SECTOR - within, bytes.len - done);
		uint8_t *content = sector_dirty(disk, &file->sectors[at / SIM_SECTOR]);
		memcpy(content + within, bytes.ptr + done, len);
		done += len;
	}
	file->bytes = max_u64(file->bytes, offset + bytes.len);
	file->allocated = max_u64(file->allocated, round_up(file->bytes, SIM_SECTOR));
}

void sim_file_resize(struct sim_disk *disk, struct sim_file *file, uint64_t bytes)
{
	for (size_t i = (size_t)(bytes / SIM_SECTOR); i < file->sector_count; i++) {
		struct sim_sector *sector = &file->sectors[i];
		if (sector->durable == NULL && sector->cached == NULL)
			continue;
		size_t keep = i == bytes / SIM_SECTOR ? bytes % SIM_SECTOR : 0;
		memset(sector_dirty(disk, sector) + keep, 0, SIM_SECTOR - keep);
	}
	if (bytes < file->bytes)
		file->allocated = round_up(bytes, SIM_SECTOR);
	file->bytes = bytes;
	file->allocated = max_u64(file->allocated, round_up(bytes, SIM_SECTOR));
}

static void sector_harden(struct sim_disk *disk, struct sim_sector *sector)
{
	if (!sector->dirty)
		return;
	if (sector->durable != NULL)
		memory_free(&disk->memory, sector->durable, SIM_SECTOR);
	sector->durable = sector->cached;
	sector->cached = NULL;
	sector->dirty = false;
}

void sim_file_harden(struct sim_disk *disk, struct sim_file *file, uint64_t offset, uint64_t len)
{
	uint64_t end = len > UINT64_MAX - offset ? UINT64_MAX : offset + len;
	uint64_t last = min_u64(end / SIM_SECTOR + (end % SIM_SECTOR != 0), file->sector_count);
	for (uint64_t i = offset / SIM_SECTOR; i < last; i++)
		sector_harden(disk, &file->sectors[i]);
	if (offset == 0 && len == UINT64_MAX)
		file->bytes_durable = file->bytes;
	else
		file->bytes_durable = max_u64(file->bytes_durable, min_u64(end, file->bytes));
}

void sim_file_sync_fails(struct sim_disk *disk, struct sim_file *file)
{
	for (size_t i = 0; i < file->sector_count; i++) {
		struct sim_sector *sector = &file->sectors[i];
		if (sector->dirty && random_below(&disk->random, 2) == 0)
			sector_harden(disk, sector);
		sector->dirty = false;
	}
}

/* What the medium holds of a sector whose write was not finished. */
static void sector_crash(struct sim_disk *disk, struct sim_sector *sector)
{
	uint64_t outcome = sector->dirty ? random_below(&disk->random, 3) : 0;
	if (outcome == 1) {
		sector_harden(disk, sector);
	} else if (outcome == 2) {
		for (size_t at = 0; at < SIM_SECTOR; at += SIM_GRANULE) {
			if (random_below(&disk->random, 2) == 1)
				continue;
			if (sector->durable != NULL)
				memcpy(sector->cached + at, sector->durable + at, SIM_GRANULE);
			else
				memset(sector->cached + at, 0, SIM_GRANULE);
		}
		sector_harden(disk, sector);
	} else if (sector->cached != NULL) {
		memory_free(&disk->memory, sector->cached, SIM_SECTOR);
		sector->cached = NULL;
	}
	sector->dirty = false;
}

void sim_file_crash(struct sim_disk *disk, struct sim_file *file)
{
	for (size_t i = 0; i < file->sector_count; i++)
		sector_crash(disk, &file->sectors[i]);
	if (file->bytes != file->bytes_durable && random_below(&disk->random, 2) == 0)
		file->bytes = file->bytes_durable;
	/* What lies beyond the end is not part of the file. */
	for (size_t i = 0; i < file->sector_count; i++)
		if (file->sectors[i].durable != NULL && (i + 1) * SIM_SECTOR > file->bytes) {
			sim_file_resize(disk, file, file->bytes);
			break;
		}
	file->allocated = round_up(file->bytes, SIM_SECTOR);
	sim_file_harden(disk, file, 0, UINT64_MAX);
	file->opens = 0;
}

bool sim_file_flip(struct sim_file *file, uint64_t bit)
{
	size_t index = (size_t)(bit / 8 / SIM_SECTOR), at = (size_t)(bit / 8 % SIM_SECTOR);
	if (bit / 8 >= file->bytes || index >= file->sector_count)
		return false;
	uint8_t mask = (uint8_t)(1u << (bit % 8));
	struct sim_sector *sector = &file->sectors[index];
	if (sector->durable != NULL)
		sector->durable[at] ^= mask;
	if (sector->cached != NULL)
		sector->cached[at] ^= mask;
	return sector->durable != NULL || sector->cached != NULL;
}

void sim_file_free(struct sim_disk *disk, struct sim_file *file)
{
	for (size_t i = 0; i < file->sector_count; i++) {
		memory_free(&disk->memory, file->sectors[i].durable,
		    file->sectors[i].durable != NULL ? SIM_SECTOR : 0);
		memory_free(&disk->memory, file->sectors[i].cached,
		    file->sectors[i].cached != NULL ? SIM_SECTOR : 0);
	}
	memory_free(&disk->memory, file->sectors, file->sector_count * sizeof(*file->sectors));
	list_remove(&file->link);
	memory_free(&disk->memory, file, sizeof(*file));
}

bool sim_flip_bit(struct sim_disk *disk, const char *path, uint64_t bit)
{
	CHECK_OBJ(disk, SIM_DISK_MAGIC);
	struct sim_name *name = sim_name_find(&disk->names, path);
	return name != NULL && name->file != NULL && sim_file_flip(name->file, bit);
}
