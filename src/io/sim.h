#pragma once
#include "io/io.h"
struct sim_disk;
struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);
struct io *sim_new(struct sim_disk *disk, uint64_t seed, struct log *log);
