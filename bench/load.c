/* bench/load.c: a load generator that keeps a server saturated: many connections, each with
 * a full pipeline, one thread, epoll. redis-benchmark builds and parses so slowly that it is
 * the one that is measured.
 *
 *   load --port 6379 --pid 1234 --connections 50 --pipeline 16 --requests 1000000
 *        --command get|set|incr|ping|imgget|imgput|imgread|http|fill|imgfill
 *        --value-bytes 3 --keys 1000000
 *
 * fill is SET of every key once, and imgfill IMG.PUT, however many requests were asked for.
 * imgput puts images with contents never seen before, imgread gets them, imgget asks for one.
 *
 * Each connection cycles through requests prepared with random keys, so that the server's
 * caches see as many keys as there are. Every reply to one command has the same length, which
 * the first reply tells; counting bytes is then counting replies. Prints one line of JSON:
 * requests per second, the server's CPU microseconds per request (from /proc/PID/stat), bytes
 * per second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 2000,
	READ_BYTES = 1 << 20,
	PREPARED_BYTES = 1 << 20,
	IMAGE_NUMBER_AT = 100,
	IMAGE_BYTES_MIN = 128,
};

struct options {
	int         port, pid, connections, pipeline, keys;
	long        requests, value_bytes;
	const char *command;
};

struct connection {
	int    fd;
	long   to_receive;        /* bytes of replies still to come for this round */
	size_t to_send, sent;     /* of this round, offsets into request */
	long   rounds, round;     /* prepared with other keys each; which comes next */
	bool   went_round;        /* all of them were sent */
	char  *request;
	size_t request_bytes, request_cap;
};

struct load {
	struct options    options;
	struct connection connections[CONNECTIONS_MAX];
	long              reply_bytes;    /* of one reply */
	long              asked, answered;
	unsigned          seed;
	unsigned long long images;        /* made so far */
	int               poll;
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* User and system time of a process, in seconds. */
static double cpu_s(int pid)
{
	char path[64], text[1024];
	unsigned long user = 0, system = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return 0;
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	const char *at = strrchr(text, ')');
	if (at != NULL)
		sscanf(
		    at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static int connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void append(struct connection *connection, const char *bytes, size_t len)
{
	if (connection->request_bytes + len > connection->request_cap) {
		connection->request_cap = (connection->request_bytes + len) * 2;
		connection->request = realloc(connection->request, connection->request_cap);
		if (connection->request == NULL)
			die("memory");
	}
	memcpy(connection->request + connection->request_bytes, bytes, len);
	connection->request_bytes += len;
}

static bool is_command(const struct load *load, const char *name)
{
	return strcmp(load->options.command, name) == 0;
}

/* Every key once. */
static bool is_fill(const struct load *load)
{
	return is_command(load, "fill") || is_command(load, "imgfill");
}

static bool is_image(const struct load *load)
{
	return is_command(load, "imgput") || is_command(load, "imgfill");
}

/* A PNG of 4 x 4 grey pixels with as many bytes behind its end as it takes. */
static void make_image(char *value, long bytes)
{
	static const unsigned char head[] = {
		0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
		0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x04,
		0x08, 0x02, 0x00, 0x00, 0x00, 0x26, 0x93, 0x09, 0x29, 0x00, 0x00, 0x00,
		0x0e, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x68, 0x40, 0x02, 0x0c,
		0xc4, 0x71, 0x00, 0x70, 0x52, 0x18, 0x01, 0x83, 0xc6, 0xf0, 0x19, 0x00,
		0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
	};
	if (bytes < IMAGE_BYTES_MIN) {
		fprintf(stderr, "load: an image has at least %d bytes\n", IMAGE_BYTES_MIN);
		exit(2);
	}
	memcpy(value, head, sizeof(head));
}

/* Contents that no image had before, in the request that ends after `request_bytes`. */
static void renew_image(struct load *load, char *request, size_t request_bytes)
{
	char digits[17];
	snprintf(digits, sizeof(digits), "%016llx", load->images++);
	memcpy(request + request_bytes - 2 - (size_t)load->options.value_bytes + IMAGE_NUMBER_AT, digits, 16);
}

static void append_request(struct load *load, struct connection *connection, const char *value)
{
	char key[32], head[128];
	const struct options *options = &load->options;
	bool fill = is_fill(load);
	load->seed = fill ? load->seed + 1 : load->seed * 1103515245U + 12345U;
	snprintf(key, sizeof(key), "key:%010u",
	    (fill ? load->seed : load->seed >> 8) % (unsigned)options->keys);
	int len;
	if (is_command(load, "ping"))
		len = snprintf(head, sizeof(head), "*1\r\n$4\r\nPING\r\n");
	else if (is_command(load, "get"))
		len = snprintf(head, sizeof(head), "*2\r\n$3\r\nGET\r\n$14\r\n%s\r\n", key);
	else if (is_command(load, "http"))
		len = snprintf(
		    head, sizeof(head), "GET /image.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n");
	else if (is_command(load, "imgget"))
		len = snprintf(head, sizeof(head), "*2\r\n$7\r\nIMG.GET\r\n$5\r\nimage\r\n");
	else if (is_command(load, "imgread"))
		len = snprintf(head, sizeof(head), "*2\r\n$7\r\nIMG.GET\r\n$14\r\n%s\r\n", key);
	else if (is_image(load))
		len = snprintf(head, sizeof(head), "*3\r\n$7\r\nIMG.PUT\r\n$14\r\n%s\r\n$%ld\r\n", key,
		    options->value_bytes);
	else if (is_command(load, "incr"))
		len = snprintf(head, sizeof(head), "*2\r\n$4\r\nINCR\r\n$14\r\n%s\r\n", key);
	else
		len = snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$14\r\n%s\r\n$%ld\r\n", key,
		    options->value_bytes);
	append(connection, head, (size_t)len);
	if (fill || is_image(load) || is_command(load, "set")) {
		append(connection, value, (size_t)options->value_bytes);
		append(connection, "\r\n", 2);
		if (is_image(load))
			renew_image(load, connection->request, connection->request_bytes);
	}
}

/* Head and body of an HTTP reply of which `have` bytes are there. */
static long learn_http(int fd, const char *start, size_t have)
{
	static char head[4096];
	memcpy(head, start, have);
	for (;;) {
		head[have] = 0;
		const char *end = strstr(head, "\r\n\r\n"),
		           *length = strstr(head, "Content-Length: ");
		if (end != NULL && length != NULL)
			return end - head + 4 + strtol(length + 16, NULL, 10);
		ssize_t got = recv(fd, head + have, sizeof(head) - 1 - have, 0);
		if (got <= 0)
			die("receive");
		have += (size_t)got;
	}
}

/* Sends one request and measures its reply. */
static void learn_reply(struct load *load, const char *value)
{
	struct connection probe = {.fd = connect_to(load->options.port)};
	static char reply[64];
	append_request(load, &probe, value);
	for (size_t at = 0; at < probe.request_bytes;) {
		ssize_t sent = send(probe.fd, probe.request + at, probe.request_bytes - at, 0);
		if (sent <= 0)
			die("send");
		at += (size_t)sent;
	}
	size_t have = 0;
	while (memchr(reply, '\n', have) == NULL && have < sizeof(reply)) {
		ssize_t got = recv(probe.fd, reply + have, sizeof(reply) - have, 0);
		if (got <= 0)
			die("receive");
		have += (size_t)got;
	}
	const char *end = memchr(reply, '\n', have);
	if (is_command(load, "http")) {
		load->reply_bytes = learn_http(probe.fd, reply, have);
		close(probe.fd);
		free(probe.request);
		return;
	}
	if (reply[0] == '-' || end == NULL) {
		fprintf(stderr, "load: the server says %.*s\n", (int)have, reply);
		exit(1);
	}
	load->reply_bytes = end - reply + 1;
	if (reply[0] == '$' && reply[1] != '-')
		load->reply_bytes += strtol(reply + 1, NULL, 10) + 2;
	close(probe.fd);
	free(probe.request);
}

static void send_more(struct connection *connection)
{
	while (connection->sent < connection->to_send) {
		ssize_t sent = send(connection->fd, connection->request + connection->sent,
		    connection->to_send - connection->sent, MSG_DONTWAIT);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent <= 0)
			die("send");
		connection->sent += (size_t)sent;
	}
}

static void next_round(struct load *load, struct connection *connection)
{
	const struct options *options = &load->options;
	if (is_fill(load) ? connection->went_round : load->asked >= options->requests) {
		connection->to_receive = 0;
		return;
	}
	load->asked += options->pipeline;
	connection->to_receive = load->reply_bytes * options->pipeline;
	size_t bytes = connection->request_bytes / (size_t)connection->rounds;
	connection->sent = bytes * (size_t)connection->round;
	connection->to_send = connection->sent + bytes;
	for (int i = 1; is_image(load) && i <= options->pipeline; i++)
		renew_image(load, connection->request + connection->sent,
		    bytes / (size_t)options->pipeline * (size_t)i);
	connection->round = (connection->round + 1) % connection->rounds;
	connection->went_round = connection->went_round || connection->round == 0;
	send_more(connection);
}

static void receive(struct load *load, struct connection *connection, char *buffer)
{
	ssize_t got = recv(connection->fd, buffer, READ_BYTES, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		die("receive");
	if (buffer[0] == '-' && connection->to_receive % load->reply_bytes == 0) {
		fprintf(stderr, "load: the server says %.*s\n", (int)(got < 80 ? got : 80), buffer);
		exit(1);
	}
	bool is_missing = got >= 3 && memcmp(buffer, "$-1", 3) == 0;
	connection->to_receive -= got;
	if (connection->to_receive < 0 || (is_missing && load->reply_bytes != 5)) {
		fprintf(stderr, "load: replies of different lengths\n");
		exit(1);
	}
	if (connection->to_receive == 0) {
		load->answered += load->options.pipeline;
		next_round(load, connection);
	}
}

static void run(struct load *load, const char *value)
{
	static char buffer[READ_BYTES];
	struct epoll_event events[256];
	const struct options *options = &load->options;
	bool fill = is_fill(load);
	load->poll = epoll_create1(0);
	for (int i = 0; i < options->connections; i++) {
		struct connection *connection = &load->connections[i];
		struct epoll_event event = {
		    .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
		connection->fd = connect_to(options->port);
		do {
			for (int k = 0; k < options->pipeline; k++)
				append_request(load, connection, value);
			connection->rounds++;
		} while (connection->request_bytes < PREPARED_BYTES / 4 ||
		    (fill &&
		        connection->rounds * options->pipeline * options->connections <
		            options->keys));
		epoll_ctl(load->poll, EPOLL_CTL_ADD, connection->fd, &event);
	}
	double from = now_s(), cpu = cpu_s(options->pid);
	for (int i = 0; i < options->connections; i++)
		next_round(load, &load->connections[i]);
	while (load->answered < load->asked) {
		int count = epoll_wait(load->poll, events, 256, 30000);
		if (count <= 0)
			die("no reply in 30 s");
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			send_more(connection);
			long before;
			do {
				before = connection->to_receive;
				if (before > 0)
					receive(load, connection, buffer);
			} while (connection->to_receive != before && connection->to_receive > 0);
		}
	}
	double took = now_s() - from;
	cpu = cpu_s(options->pid) - cpu;
	printf("{\"requests\": %ld, \"rps\": %.0f, \"cpu_us\": %.4f, \"bytes_per_s\": %.0f, "
	       "\"cpu_s_per_gb\": %.4f}\n",
	    load->answered, (double)load->answered / took, cpu * 1e6 / (double)load->answered,
	    (double)load->answered * (double)load->reply_bytes / took,
	    cpu / ((double)load->answered * (double)load->reply_bytes / 1e9));
}

static bool parse(struct options *options, int argc, char **argv)
{
	*options = (struct options){
	    .port = 6379, .connections = 50, .pipeline = 1, .keys = 1000000, .requests = 1000000,
	    .value_bytes = 3, .command = "get"};
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i];
		long number = strtol(argv[i + 1], NULL, 10);
		if (strcmp(name, "--port") == 0)
			options->port = (int)number;
		else if (strcmp(name, "--pid") == 0)
			options->pid = (int)number;
		else if (strcmp(name, "--connections") == 0)
			options->connections = (int)number;
		else if (strcmp(name, "--pipeline") == 0)
			options->pipeline = (int)number;
		else if (strcmp(name, "--keys") == 0)
			options->keys = (int)number;
		else if (strcmp(name, "--requests") == 0)
			options->requests = number;
		else if (strcmp(name, "--value-bytes") == 0)
			options->value_bytes = number;
		else if (strcmp(name, "--command") == 0)
			options->command = argv[i + 1];
		else
			return false;
	}
	return argc % 2 == 1 && options->connections > 0 &&
	    options->connections <= CONNECTIONS_MAX && options->pipeline > 0 && options->keys > 0;
}

int main(int argc, char **argv)
{
	static struct load load;
	if (!parse(&load.options, argc, argv)) {
		fprintf(stderr, "usage: see the head of bench/load.c\n");
		return 2;
	}
	char *value = malloc((size_t)load.options.value_bytes + 1);
	if (value == NULL)
		die("memory");
	memset(value, 'x', (size_t)load.options.value_bytes);
	load.seed = 1;
	load.images = (unsigned long long)getpid() << 40;
	if (is_image(&load))
		make_image(value, load.options.value_bytes);
	learn_reply(&load, value);
	run(&load, value);
	free(value);
	return 0;
}
