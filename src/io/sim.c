#include "io/sim.h"
struct sim_disk *sim_disk_new(uint64_t seed){UNUSED(seed);return NULL;}
void sim_disk_free(struct sim_disk *disk){UNUSED(disk);}
struct io *sim_new(struct sim_disk *disk, uint64_t seed, struct log *log){UNUSED(disk);UNUSED(seed);UNUSED(log);return NULL;}
