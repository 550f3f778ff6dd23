# Tintype. `make help` lists the targets.
BUILD   ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr/local
SEEDS   ?= 50000
FUZZ_SECONDS ?= 60
PYTHON  := /usr/bin/python3

WARN    := -Wall -Wextra -Werror -Wshadow -Wvla -Wconversion -Wno-sign-conversion \
           -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wundef
HARDEN  := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fno-omit-frame-pointer
OPT     ?= -O3
# The least that a processor must have: of 2009 and later.
MACHINE := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)
CFLAGS  := -std=gnu17 $(OPT) $(MACHINE) -g $(WARN) $(HARDEN) -D_GNU_SOURCE -Isrc -I. -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS := -pie -Wl,-z,relro,-z,now -rdynamic $(EXTRA_LDFLAGS)
ALLOC   ?= -ljemalloc
LIBS    := -luring -lisal -lxxhash -llz4 -lutf8proc -lstemmer -lssl -lcrypto -lm -pthread $(ALLOC)

SOURCES := $(wildcard src/*/*.c src/*/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
MAIN    := $(BUILD)/src/server/main.o
ARCHIVE := $(BUILD)/libtintype.a
MODULES := $(notdir $(patsubst %/,%,$(wildcard modules/*/)))
WORKERS := $(MODULES:%=$(BUILD)/tintype-%)
TOOLS   := $(patsubst utils/%.c,$(BUILD)/%,$(wildcard utils/tintype-*.c))
BENCHES := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

.PHONY: all
all: $(BUILD)/tintype-server $(WORKERS) $(TOOLS)         ## the server, the workers, the tools

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(CFLAGS) -c $< -o $@

$(ARCHIVE): $(filter-out $(MAIN),$(OBJECTS))
	@rm -f $@
	@echo "  AR $@"
	@ar rcs $@ $^

$(BUILD)/tintype-server: $(MAIN) $(ARCHIVE)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(TOOLS): $(BUILD)/%: $(BUILD)/utils/%.o $(ARCHIVE)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# ---- worker programs: modules/NAME/*.c and modules/worker.c make tintype-NAME ----------------
# modules/NAME/packages names its libraries for pkg-config. Of src/ they link what they call.
# Sanitizers and the workers' sandbox exclude each other: these are always built without.
WORKER_CFLAGS  = $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS))
WORKER_LDFLAGS = $(filter-out -fsanitize%,$(LDFLAGS))
WORKER_SHARED := $(patsubst %.c,$(BUILD)/worker/%.o,modules/worker.c $(wildcard src/base/*.c src/image/*.c))
WORKER_OBJECTS = $(patsubst %.c,$(BUILD)/worker/%.o,$(wildcard modules/$(1)/*.c))

$(BUILD)/worker/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(WORKER_CFLAGS) $(if $(filter modules/%,$<),$(call module_flags,--cflags,$<)) -c $< -o $@
# The includes of a library are the system's: its warnings are not ours.
module_flags = $(patsubst -I%,-isystem %,$(shell cat $(dir $(2))packages 2>/dev/null | xargs -r pkg-config $(1)))

$(BUILD)/worker/libworker.a: $(WORKER_SHARED)
	@rm -f $@
	@ar rcs $@ $^

.SECONDEXPANSION:
$(WORKERS): $(BUILD)/tintype-%: $$(call WORKER_OBJECTS,$$*) $(BUILD)/worker/libworker.a
	@echo "  LD $@"
	@$(CC) $(WORKER_CFLAGS) $(WORKER_LDFLAGS) $^ $(call module_flags,--libs,modules/$*/) -lseccomp -lm -ljemalloc -o $@

# ---- running --------------------------------------------------------------------------------
.PHONY: run demo demo-dr soak install
run: all                                                 ## the server in the foreground
	$(BUILD)/tintype-server conf/tintype.conf

demo:                                                    ## install what is missing, build, show
	utils/setup.sh build demo
	$(MAKE) all
	utils/demo

demo-dr:                                                 ## two regions, a line that is cut, a leader that is killed
	utils/setup.sh build demo
	$(MAKE) all
	utils/demo-dr

SECONDS ?= 3600
soak: all                                                ## SECONDS=n: overwriting, cutting and killing, all the while
	cd tests/server && BUILD=$(abspath $(BUILD)) SOAK_SECONDS=$(SECONDS) SOAK_SEED=$(or $(SEED),1) $(PYTHON) -m pytest -q test_soak.py test_churn.py

install: all                                             ## into PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(addprefix $(DESTDIR)$(PREFIX)/share/tintype/,importer backup)
	install -m 755 $(BUILD)/tintype-server $(WORKERS) $(TOOLS) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(addprefix utils/tintype-,import backup restore compare) $(DESTDIR)$(PREFIX)/bin
	install -m 644 utils/importer/*.py $(DESTDIR)$(PREFIX)/share/tintype/importer
	install -m 644 utils/backup/*.py $(DESTDIR)$(PREFIX)/share/tintype/backup
	install -m 644 $(wildcard conf/*) README.md LICENSE $(DESTDIR)$(PREFIX)/share/tintype

# ---- tests ------------------------------------------------------------------------------------
UNIT_SOURCES := $(wildcard tests/unit/*/*.c)
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=$(BUILD)/%.o)
SIM_SOURCES  := $(wildcard tests/sim/*.c)
SIM_OBJECTS  := $(SIM_SOURCES:%.c=$(BUILD)/%.o)
FUZZERS      := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# Programs that play the worker in tests: a captive that tries to get out, and one that
# misbehaves as the name under which it is called says.
ROGUES       := not other crash hang quit huge number magic status kind size empty why twice bytes version stillborn
UNIT_WORKERS := $(BUILD)/captive $(ROGUES:%=$(BUILD)/rogue-%)

$(BUILD)/unit-tests: $(UNIT_OBJECTS) $(ARCHIVE) | $(WORKERS) $(UNIT_WORKERS)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o %.a,$^) $(LIBS) -lcriterion -o $@

$(BUILD)/captive $(BUILD)/rogue: $(BUILD)/%: $(BUILD)/worker/tests/unit/image/programs/%.o $(BUILD)/worker/libworker.a
	@echo "  LD $@"
	@$(CC) $(WORKER_CFLAGS) $(WORKER_LDFLAGS) $^ -lseccomp -lm -ljemalloc -o $@
$(ROGUES:%=$(BUILD)/rogue-%): $(BUILD)/rogue
	@ln -f $< $@

# tests/sim/NAME_sim.c is the program NAME-sim; the other files there are shared.
SIM_PROGRAMS := $(patsubst tests/sim/%_sim.c,$(BUILD)/%-sim,$(wildcard tests/sim/*_sim.c))
SIM_SHARED   := $(filter-out %_sim.o,$(SIM_OBJECTS))
$(BUILD)/%-sim: $(BUILD)/tests/sim/%_sim.o $(SIM_SHARED) $(ARCHIVE)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

.PHONY: test unit sim server-tests differential kill-test heavy-test flip-test fuzz fuzz-smoke asan tidy
test:                                                    ## install what is missing, build, run every test
	utils/setup.sh build test
	$(MAKE) all
	BUILD=$(BUILD) tests/run

unit: $(BUILD)/unit-tests $(WORKERS) $(UNIT_WORKERS)     ## UNIT_ARGS="--filter 'suite/*'"
	timeout 900 $(BUILD)/unit-tests -j2 $(UNIT_ARGS)

sim: $(SIM_PROGRAMS)    ## SEEDS=n simulated crash points
	for program in $^; do \
	    MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1 $$program --seeds $(SEEDS) || exit 1; done

server-tests: all                                        ## a real server, real clients; PYTEST_ARGS="-k name"
	cd tests/server && BUILD=$(abspath $(BUILD)) timeout 1200 $(PYTHON) -m pytest -q $(PYTEST_ARGS)

.PHONY: schedules
schedules: $(BUILD)/replica-sim                          ## every partition of three servers in up to LENGTH=6 steps
	MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1 $< --length $(or $(LENGTH),6) --lives $(or $(LIVES),1)

differential: all                                        ## COMMANDS=2000000 random ones, SEED=n: answered as by redis-server
	cd tests/server && BUILD=$(abspath $(BUILD)) DIFFERENTIAL_COMMANDS=$(or $(COMMANDS),2000000) DIFFERENTIAL_SEED=$(or $(SEED),1) \
	    timeout 86400 $(PYTHON) -m pytest -q test_differential.py

kill-test: all                                           ## ROUNDS=200 of kill -9 under load
	cd tests/server && BUILD=$(abspath $(BUILD)) KILL_ROUNDS=$(or $(ROUNDS),200) $(PYTHON) -m pytest -q -k kill_rounds

heavy-test: all                                          ## 10 M keys that expire at once; a million tiny images beside the largest
	cd tests/server && BUILD=$(abspath $(BUILD)) EXPIRING_KEYS=10000000 TINY_IMAGES=1000000 \
	    timeout 7200 $(PYTHON) -m pytest -q -k "expire_at_once or beside_many_tiny"

flip-test: $(BUILD)/unit-tests                           ## FLIPS=100000 single bits of a store, one by one
	FLIPS=$(or $(FLIPS),100000) timeout 86400 $(BUILD)/unit-tests --filter 'flip/*'

FUZZ_FLAGS := -std=gnu17 -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
              -D_GNU_SOURCE -Isrc -I.
$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@clang $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/libtintype.a: $(SOURCES:%.c=$(BUILD)/fuzz/%.o)
	@rm -f $@
	@ar rcs $@ $(filter-out $(BUILD)/fuzz/src/server/main.o,$^)

$(BUILD)/fuzz/fuzz-%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libtintype.a
	@echo "  LD $@"
	@clang -fsanitize=fuzzer,address,undefined $^ -luring -lisal -lxxhash -llz4 -lutf8proc -lstemmer -lssl -lcrypto -lm -pthread -o $@

fuzz: $(FUZZERS:%=$(BUILD)/fuzz/fuzz-%)                  ## FUZZ_SECONDS=60 for each parser
	utils/fuzz $(BUILD) $(FUZZ_SECONDS) $(FUZZERS)

asan:                                                    ## everything with ASan and UBSan, its unit and server tests
	LSAN_OPTIONS=suppressions=$(CURDIR)/tests/unit/leaks.supp \
	$(MAKE) BUILD=$(BUILD)/asan OPT=-O1 ALLOC= \
	    EXTRA_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -U_FORTIFY_SOURCE -Wno-format-truncation -Wno-maybe-uninitialized" \
	    EXTRA_LDFLAGS="-fsanitize=address,undefined" all unit server-tests

tidy:                                                    ## the countable part of the style
	utils/tidy

# ---- benches ----------------------------------------------------------------------------------
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/bench/xapian_peer.o: bench/xapian_peer.cc bench/xapian_peer.h
	@mkdir -p $(@D)
	@echo "  CXX $<"
	@$(CXX) -std=c++17 -O2 -Wall -Wextra -c $< -o $@

$(BUILD)/bench/bench_search: LIBS += -lsqlite3 -lxapian -lstdc++
$(BUILD)/bench/bench_search: $(BUILD)/bench/xapian_peer.o

$(BUILD)/bench-thumbnail: bench/vips/thumbnail.c
	@echo "  LD $@"
	@$(CC) -std=gnu17 -O2 -Wall -Wextra $< $$(pkg-config --cflags --libs vips) -o $@

.PHONY: bench benches
bench:                                                   ## every bench against its peer
	utils/setup.sh build bench
	$(MAKE) benches
	BUILD=$(BUILD) bench/run all

benches: all $(BENCHES) $(BUILD)/bench-thumbnail         ## builds them

bench-%: benches                                         ## one of them
	BUILD=$(BUILD) bench/run $*

.PHONY: clean help
clean:                                                   ## everything that was built
	rm -rf $(BUILD)

help:                                                    ## this list
	@awk -F'##' '/^[a-z-]+:.*##/ { split($$1, t, ":"); printf "  %-14s%s\n", t[1], $$2 }' $(MAKEFILE_LIST)

.SECONDARY:
-include $(OBJECTS:.o=.d) $(WORKER_SHARED:.o=.d) $(wildcard $(BUILD)/worker/modules/*/*.d) $(UNIT_OBJECTS:.o=.d) $(SIM_OBJECTS:.o=.d) $(wildcard $(BUILD)/fuzz/*/*/*.d $(BUILD)/fuzz/*/*/*/*.d)
