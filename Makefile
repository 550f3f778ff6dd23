# Tintype. `make help` lists the targets.
BUILD   ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
SEEDS   ?= 20000
PYTHON  := /usr/bin/python3

WARN    := -Wall -Wextra -Werror -Wshadow -Wvla -Wconversion -Wno-sign-conversion \
           -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wundef
HARDEN  := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fno-omit-frame-pointer
OPT     ?= -O3
CFLAGS  := -std=gnu17 $(OPT) -g $(WARN) $(HARDEN) -D_GNU_SOURCE -Isrc -I. -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS := -pie -Wl,-z,relro,-z,now -rdynamic $(EXTRA_LDFLAGS)
ALLOC   ?= -ljemalloc
LIBS    := -luring -lisal -lxxhash -llz4 -lutf8proc -lm -pthread $(ALLOC)

SOURCES := $(wildcard src/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
MAIN    := $(BUILD)/src/server/main.o
ARCHIVE := $(BUILD)/libtintype.a

MODULES := $(notdir $(patsubst %/,%,$(wildcard modules/*/)))
WORKERS := $(MODULES:%=$(BUILD)/tintype-%)
TOOLS   := $(patsubst utils/%.c,$(BUILD)/%,$(wildcard utils/tintype-*.c))

.PHONY: all
all: $(BUILD)/tintype-server $(WORKERS) $(TOOLS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CFLAGS_$(notdir $*)) -c $< -o $@

$(ARCHIVE): $(filter-out $(MAIN),$(OBJECTS))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/tintype-server: $(MAIN) $(ARCHIVE)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(TOOLS): $(BUILD)/%: utils/%.c $(ARCHIVE)
	$(CC) $(CFLAGS) $(LDFLAGS) $< $(ARCHIVE) $(LIBS) -o $@

# ---- unit tests --------------------------------------------------------------------------
UNIT_SOURCES := $(wildcard tests/unit/*/*.c)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(BUILD)/%.o)

$(BUILD)/unit-tests: $(UNIT_OBJECTS) $(ARCHIVE)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -lcriterion -o $@

.PHONY: unit
unit: $(BUILD)/unit-tests
	timeout 600 $(BUILD)/unit-tests -j2 $(UNIT_ARGS)

# ---- simulation --------------------------------------------------------------------------
SIM_STORE := $(BUILD)/tests/sim/store_sim.o $(BUILD)/tests/sim/owner.o

$(BUILD)/store-sim: $(SIM_STORE) $(ARCHIVE)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

-include $(SIM_STORE:.o=.d)
-include $(OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d)
