/* tests/unit/io/host_test.c: what only the real back ends do: listeners, processes, shared
 * memory, signals, falling back. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Listeners ------------------------------------------------------------------------------ */

enum { GUESTS_MAX = 256 };

struct house {
	struct io_listener listener;
	struct rig        *rig;
	struct end         ends[GUESTS_MAX];
	unsigned           count;
};

static void guest_arrives(struct io_listener *listener, int fd)
{
	struct house *house = listener->ctx;
	cr_assert_lt(house->count, GUESTS_MAX);
	end_open(house->rig, &house->ends[house->count++], fd);
}

static struct house *house_open(struct rig *rig, const struct io_listen_options *options)
{
	struct house *house = memory_zalloc(&rig->memory, sizeof(*house));
	house->rig = rig;
	house->listener.accepted = guest_arrives;
	house->listener.ctx = house;
	cr_assert_eq(io_listen(rig->io, &house->listener, options), OK);
	return house;
}

static void house_fini(struct house *house)
{
	for (unsigned i = 0; i < house->count; i++)
		end_fini(&house->ends[i]);
	io_listener_close(house->rig->io, &house->listener);
	memory_free(&house->rig->memory, house, sizeof(*house));
}

static void house_until(struct house *house, unsigned count)
{
	for (int i = 0; i < 1000 && house->count < count; i++)
		io_wait(house->rig->io, 10000);
	cr_assert_eq(house->count, count);
}

static bool guest_connect_with(int fd, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static int guest_connect(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (guest_connect_with(fd, port))
		return fd;
	close(fd);
	return -1;
}

static const struct io_listen_options loopback = {.address = "127.0.0.1", .backlog = 128,
    .keepalive_s = 300};

static int option_of(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	cr_assert_eq(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static void tcp_client_is_served(struct rig *rig)
{
	struct house *house = house_open(rig, &loopback);
	uint16_t port = io_listener_port(rig->io, &house->listener);
	cr_assert_neq(port, 0);
	int fd = guest_connect(port);
	cr_assert_geq(fd, 0);
	house_until(house, 1);
	struct end *end = &house->ends[0];
	cr_assert_eq(option_of(end->stream.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	cr_assert_eq(option_of(end->stream.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_assert_eq(option_of(end->stream.fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);

	cr_assert_eq(write(fd, "hello", 5), 5);
	end_until_received(end, 5);
	end_send(end, SPAN_LIT("world"));
	rig_until(rig, &end->sent);
	char in[5];
	cr_assert_eq(recv(fd, in, 5, MSG_WAITALL), 5);
	cr_assert_arr_eq(in, "world", 5);

	char address[IO_ADDRESS_MAX], expect[64];
	io_stream_address(rig->io, &end->stream, true, address);
	snprintf(expect, sizeof(expect), "127.0.0.1:%u", port);
	cr_assert_str_eq(address, expect);
	io_stream_address(rig->io, &end->stream, false, address);
	cr_assert_eq(strncmp(address, "127.0.0.1:", 10), 0);
	cr_assert_str_neq(address, expect);
	close(fd);
	rig_until(rig, &end->eof);
	house_fini(house);
}
HOSTS(tcp_client_is_served)

static void close_after_send_delivers_and_ends(struct rig *rig)
{
	struct house *house = house_open(rig, &loopback);
	int fd = guest_connect(io_listener_port(rig->io, &house->listener));
	house_until(house, 1);
	end_send(&house->ends[0], SPAN_LIT("+OK\r\n"));
	rig_until(rig, &house->ends[0].sent);
	end_close(&house->ends[0]);
	char in[16];
	cr_assert_eq(recv(fd, in, sizeof(in), MSG_WAITALL), 5);
	close(fd);
	house_fini(house);
}
HOSTS(close_after_send_delivers_and_ends)

static void reset_by_the_peer_breaks_the_stream(struct rig *rig)
{
	struct house *house = house_open(rig, &loopback);
	int fd = guest_connect(io_listener_port(rig->io, &house->listener));
	house_until(house, 1);
	struct linger now = {.l_onoff = 1};
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
	rig_until(rig, &house->ends[0].broken);
	house_fini(house);
}
HOSTS(reset_by_the_peer_breaks_the_stream)

static void closed_listener_refuses(struct rig *rig)
{
	struct house *house = house_open(rig, &loopback);
	struct io_listen_options again = loopback;
	again.port = io_listener_port(rig->io, &house->listener);
	struct io_listener second = {.accepted = guest_arrives, .ctx = house};
	cr_assert_eq(io_listen(rig->io, &second, &again), ERR_BUSY);
	io_wait(rig->io, 0);
	io_listener_close(rig->io, &house->listener);
	cr_assert_lt(guest_connect(again.port), 0);
	memset(&house->listener, 0xee, sizeof(house->listener));
	for (int i = 0; i < 5; i++)
		io_wait(rig->io, 1000);
	house->listener = (struct io_listener){.accepted = guest_arrives, .ctx = house};
	cr_assert_eq(io_listen(rig->io, &house->listener, &again), OK, "the port is free at once");
	int fd = guest_connect(again.port);
	cr_assert_geq(fd, 0);
	house_until(house, 1);
	close(fd);
	house_fini(house);
}
HOSTS(closed_listener_refuses)

static void unix_socket_is_served_and_replaced(struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", rig->dir);
	/* Left over from a server that died. */
	int stale = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
	close(stale);

	struct io_listen_options options = {.unix_path = address.sun_path, .unix_mode = 0600,
	    .backlog = 16};
	struct house *house = house_open(rig, &options);
	struct stat st;
	cr_assert_eq(stat(address.sun_path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	struct io_listener second = {.accepted = guest_arrives, .ctx = house};
	cr_assert_eq(io_listen(rig->io, &second, &options), ERR_BUSY);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(write(fd, "x", 1), 1);
	/* The probe of the second listener was a guest too. */
	house_until(house, 2);
	end_until_received(&house->ends[1], 1);
	char shown[IO_ADDRESS_MAX], expect[IO_ADDRESS_MAX];
	snprintf(expect, sizeof(expect), "%s:0", address.sun_path);
	io_stream_address(rig->io, &house->ends[1].stream, false, shown);
	cr_assert_str_eq(shown, expect);
	close(fd);
	house_fini(house);
	cr_assert_neq(stat(address.sun_path, &st), 0);
}
HOSTS(unix_socket_is_served_and_replaced)

/* The limit is lowered before listening: the kernel may note it when it takes the accept. */
static void accept_recovers_from_too_many_descriptors(struct rig *rig)
{
	int guests[3];
	for (int i = 0; i < 3; i++)
		guests[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int lowest_free = dup(0);
	close(lowest_free);
	struct rlimit before, tight;
	getrlimit(RLIMIT_NOFILE, &before);
	tight = before;
	tight.rlim_cur = (rlim_t)lowest_free + 1;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	struct house *house = house_open(rig, &loopback);
	for (int i = 0; i < 3; i++)
		cr_assert(guest_connect_with(guests[i],
		    io_listener_port(rig->io, &house->listener)));
	for (int i = 0; i < 5; i++)
		io_wait(rig->io, 1000);
	cr_assert_eq(house->count, 0);
	cr_assert(io_timer_is_set(&house->listener.retry));
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	house_until(house, 3);
	for (int i = 0; i < 3; i++)
		close(guests[i]);
	house_fini(house);
}
HOSTS(accept_recovers_from_too_many_descriptors)

static void two_hundred_tcp_clients_are_served(struct rig *rig)
{
	enum { GUESTS = 200 };
	struct house *house = house_open(rig, &loopback);
	int guests[GUESTS];
	for (int i = 0; i < GUESTS; i++) {
		guests[i] = guest_connect(io_listener_port(rig->io, &house->listener));
		cr_assert_geq(guests[i], 0);
		cr_assert_eq(write(guests[i], &i, sizeof(i)), (ssize_t)sizeof(i));
		if (i % 50 == 0)
			io_wait(rig->io, 0);
	}
	house_until(house, GUESTS);
	uint64_t sum = 0;
	for (int i = 0; i < GUESTS; i++) {
		int number;
		end_until_received(&house->ends[i], sizeof(number));
		memcpy(&number, house->ends[i].received.ptr, sizeof(number));
		sum += (uint64_t)number;
	}
	cr_assert_eq(sum, GUESTS * (GUESTS - 1) / 2);
	for (int i = 0; i < GUESTS; i++)
		close(guests[i]);
	for (int i = 0; i < GUESTS; i++)
		rig_until(rig, &house->ends[i].eof);
	house_fini(house);
}
HOSTS(two_hundred_tcp_clients_are_served)

/* More bytes wait than the shared receive buffers hold: nobody is forgotten. */
static void streams_outrun_the_receive_buffers(struct rig *rig)
{
	enum { PAIRS = 200, LEN = 150000 };
	struct end *ends = memory_zalloc(&rig->memory, PAIRS * sizeof(*ends));
	uint8_t *bytes = memory_zalloc(&rig->memory, LEN);
	int far[PAIRS];
	for (int i = 0; i < PAIRS; i++) {
		int fds[2];
		cr_assert_eq(io_socket_pair(rig->io, fds), OK);
		far[i] = fds[1];
		cr_assert_eq(send(far[i], bytes, LEN, 0), LEN);
		end_open(rig, &ends[i], fds[0]);
	}
	for (int i = 0; i < PAIRS; i++)
		end_until_received(&ends[i], LEN);
	if (rig->backend == IO_URING)
		cr_assert_gt(io_get_stats(rig->io)->buffers_exhausted, 0);
	for (int i = 0; i < PAIRS; i++) {
		close(far[i]);
		end_fini(&ends[i]);
	}
	memory_free(&rig->memory, bytes, LEN);
	memory_free(&rig->memory, ends, PAIRS * sizeof(*ends));
}
HOSTS(streams_outrun_the_receive_buffers)

/* ---- Processes ------------------------------------------------------------------------------ */

struct ward {
	struct io_child child;
	bool            exited;
	int             status;
};

static void ward_exited(struct io_child *child, int status)
{
	struct ward *ward = child->ctx;
	cr_assert_eq(child->pid, 0);
	ward->exited = true;
	ward->status = status;
}

static enum err shell(struct rig *rig, struct ward *ward, const char *script, struct end *end)
{
	int fds[2];
	cr_assert_eq(io_socket_pair(rig->io, fds), OK);
	*ward = (struct ward){.child = {.exited = ward_exited, .ctx = ward}};
	const char *argv[] = {"sh", "-c", script, NULL};
	struct io_spawn_options options = {.path = "/bin/sh", .argv = argv, .fds = &fds[1],
	    .fd_count = 1, .memory_bytes_max = 1 << 30};
	enum err err = io_spawn(rig->io, &ward->child, &options);
	io_close_now(rig->io, fds[1]);
	end_open(rig, end, fds[0]);
	return err;
}

static void child_answers_and_is_killed(struct rig *rig)
{
	struct ward ward;
	struct end end;
	cr_assert_eq(shell(rig, &ward, "read a <&3; echo got $a >&3; read b <&3", &end), OK);
	cr_assert_gt(ward.child.pid, 0);
	end_send(&end, SPAN_LIT("message\n"));
	end_until_received(&end, 12);
	cr_assert(span_equal(buf_span(&end.received), SPAN_LIT("got message\n")));
	cr_assert(!ward.exited);
	io_kill(rig->io, &ward.child);
	rig_until(rig, &ward.exited);
	cr_assert(WIFSIGNALED(ward.status) && WTERMSIG(ward.status) == SIGKILL);
	rig_until(rig, &end.eof);
	io_kill(rig->io, &ward.child);
	end_fini(&end);
}
HOSTS(child_answers_and_is_killed)

static void child_starts_clean(struct rig *rig)
{
	struct ward ward;
	struct end end;
	setenv("SECRET", "yes", 1);
	int leak = open("/dev/null", O_RDONLY);
	cr_assert_eq(shell(rig, &ward, "echo \"$SECRET|$LANG|$(ulimit -v)|$(ulimit -c)|"
	    "$(grep SigBlk /proc/$$/status)\" >&3; for i in 4 5 6 7 8 9 10 11 12 13 14 15 16; do "
	    "[ -e /proc/$$/fd/$i ] && echo leaked $i >&3; done; exit 7", &end), OK);
	rig_until(rig, &ward.exited);
	cr_assert(WIFEXITED(ward.status) && WEXITSTATUS(ward.status) == 7);
	rig_until(rig, &end.eof);
	buf_append_u8(&end.received, 0);
	cr_assert_str_eq((char *)end.received.ptr,
	    "|C.UTF-8|1048576|0|SigBlk:\t0000000000000000\n");
	close(leak);
	end_fini(&end);
}
HOSTS(child_starts_clean)

static void missing_program_is_told_at_once(struct rig *rig)
{
	struct ward ward = {.child = {.exited = ward_exited, .ctx = &ward}};
	const char *argv[] = {"none", NULL};
	struct io_spawn_options options = {.path = "/nonexistent/none", .argv = argv};
	cr_assert_eq(io_spawn(rig->io, &ward.child, &options), ERR_NOTFOUND);
	cr_assert_eq(ward.child.pid, 0);
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "no zombie is left");
}
HOSTS(missing_program_is_told_at_once)

static void many_descriptors_keep_their_order(struct rig *rig)
{
	int pair[2], fds[5];
	cr_assert_eq(io_socket_pair(rig->io, pair), OK);
	/* Numbers that overlap with where they go, in an order that a naive dup2 would spoil. */
	for (int i = 0; i < 5; i++)
		fds[i] = memfd_create("x", MFD_CLOEXEC);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(dprintf(fds[i], "%d", i), 1);
	dup3(pair[1], fds[4], O_CLOEXEC);
	struct ward ward = {.child = {.exited = ward_exited, .ctx = &ward}};
	const char *argv[] = {"sh", "-c", "for i in 6 5 4 3; do cat /proc/$$/fd/$i >&7; done", NULL};
	struct io_spawn_options options = {.path = "/bin/sh", .argv = argv, .fds = fds, .fd_count = 5};
	struct end end;
	cr_assert_eq(io_spawn(rig->io, &ward.child, &options), OK);
	close(pair[1]);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	end_open(rig, &end, pair[0]);
	rig_until(rig, &ward.exited);
	rig_until(rig, &end.eof);
	cr_assert(span_equal(buf_span(&end.received), SPAN_LIT("3210")));
	end_fini(&end);
}
HOSTS(many_descriptors_keep_their_order)

/* ---- Memory, signals ------------------------------------------------------------------------ */

static void shared_memory_is_sealed(struct rig *rig)
{
	enum { LEN = 1 << 20 };
	struct io_memory memory;
	cr_assert_eq(io_memory_new(rig->io, LEN, true, &memory), OK);
	uint8_t *own = memory.ptr;
	own[5000] = 42;
	cr_assert_neq(ftruncate(memory.fd, 2 * LEN), 0);
	cr_assert_neq(ftruncate(memory.fd, 100), 0);
	cr_assert_eq(mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0), MAP_FAILED);
	uint8_t *view = mmap(NULL, LEN, PROT_READ, MAP_SHARED, memory.fd, 0);
	cr_assert_neq(view, MAP_FAILED);
	cr_assert_eq(view[5000], 42);
	cr_assert_neq(mprotect(view, LEN, PROT_READ | PROT_WRITE), 0);
	cr_assert_eq(view[0], 0);
	memset(own, 7, LEN);
	struct stat st;
	cr_assert_eq(fstat(memory.fd, &st), 0);
	cr_assert_eq(st.st_blocks, LEN / 512);
	io_memory_release(rig->io, &memory, 4096, LEN - 4096);
	cr_assert_eq(own[4095], 7);
	cr_assert_eq(own[4096], 0);
	cr_assert_eq(fstat(memory.fd, &st), 0);
	cr_assert_leq(st.st_blocks, 16, "the pages went back");
	munmap(view, LEN);
	io_memory_free(rig->io, &memory);

	cr_assert_eq(io_memory_new(rig->io, LEN, false, &memory), OK);
	view = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	cr_assert_neq(view, MAP_FAILED);
	view[9] = 9;
	cr_assert_eq(((uint8_t *)memory.ptr)[9], 9);
	munmap(view, LEN);
	io_memory_free(rig->io, &memory);
}
HOSTS(shared_memory_is_sealed)

static void signal_caught(void *ctx, int signal)
{
	int *caught = ctx;
	*caught = signal;
}

static void signals_become_callbacks(struct rig *rig)
{
	int caught = 0;
	io_watch_signals(rig->io, signal_caught, &caught);
	const int signals[] = {SIGTERM, SIGHUP, SIGTERM, SIGUSR1, SIGINT};
	for (size_t i = 0; i < ARRAY_COUNT(signals); i++) {
		caught = 0;
		raise(signals[i]);
		cr_assert_eq(caught, 0);
		for (int pass = 0; pass < 100 && caught == 0; pass++)
			io_wait(rig->io, 10000);
		cr_assert_eq(caught, signals[i]);
	}
}
HOSTS(signals_become_callbacks)

static void usage_and_lines_are_plausible(struct rig *rig)
{
	struct io_usage usage;
	io_get_usage(rig->io, &usage);
	cr_assert_eq(usage.pid, getpid());
	cr_assert_gt(usage.resident_bytes, 100000);
	cr_assert_geq(usage.resident_bytes_peak, usage.resident_bytes);
	cr_assert_gt(usage.total_system_bytes, usage.resident_bytes);
	cr_assert_gt(usage.fd_limit, 10);
	int pipes[2];
	cr_assert_eq(pipe(pipes), 0);
	io_write_line(rig->io, pipes[1], SPAN_LIT("a line"));
	char in[16];
	cr_assert_eq(read(pipes[0], in, sizeof(in)), 7);
	cr_assert_arr_eq(in, "a line\n", 7);
	close(pipes[0]);
	close(pipes[1]);
}
HOSTS(usage_and_lines_are_plausible)

static void lock_is_let_go_with_the_machine(struct rig *rig)
{
	struct io *other;
	struct io_options options = {.backend = rig->backend};
	cr_assert_eq(io_new(&other, &options), OK);
	cr_assert_eq(io_lock_file(other, rig_path(rig, "l")), OK);
	cr_assert_eq(io_lock_file(rig->io, rig_path(rig, "l")), ERR_BUSY);
	io_free(other);
	cr_assert_eq(io_lock_file(rig->io, rig_path(rig, "l")), OK);
}
HOSTS(lock_is_let_go_with_the_machine)

/* ---- Choice of the back end -------------------------------------------------------------------- */

static void line_keep(void *ctx, enum log_level level, struct span text)
{
	UNUSED(level);
	struct buf *lines = ctx;
	buf_append(lines, text);
	buf_append_text(lines, "\n");
}

static void io_uring_forbid(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_COUNT(filter), filter};
	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void choose(bool forbidden, const char *name, const char *said)
{
	struct memory memory = {0};
	struct buf lines;
	buf_init(&lines, &memory);
	struct log log = {.sink = line_keep, .ctx = &lines};
	struct io_options options = {.backend = IO_AUTO, .log = &log};
	struct io *io;
	if (forbidden)
		io_uring_forbid();
	cr_assert_eq(io_new(&io, &options), OK);
	cr_assert_str_eq(io_backend_name(io), name);
	buf_append_u8(&lines, 0);
	cr_assert_not_null(strstr((char *)lines.ptr, said), "%s", (char *)lines.ptr);
	io_free(io);
	if (forbidden) {
		options.backend = IO_URING;
		cr_assert_eq(io_new(&io, &options), ERR_PERMISSION);
	}
	buf_fini(&lines);
}

Test(io_choice, io_uring_is_taken_where_it_is_allowed)
{
	choose(false, "io_uring", "defer-taskrun");
}

Test(io_choice, epoll_is_taken_where_io_uring_is_forbidden)
{
	choose(true, "epoll", "io_uring is refused (permission");
}
