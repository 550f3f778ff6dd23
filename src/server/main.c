/* server/main.c: the command line, and the loop that turns until the server has stopped.
 *
 *   tintype-server [conf/tintype.conf] [--port 6379 --dir data ...]
 *
 * Words from the command line override the file, as with redis-server.
 */
#include "server/aside.h"
#include "server/logfile.h"
#include "server/server.h"

#include "commands/commands.h"

#include <stdio.h>

/* Read by jemalloc: memory that was freed goes back to the machine on a thread of its own, and not
 * between two commands. */
const char *malloc_conf = "background_thread:true";

enum { CONFIG_FILE_MAX = 1 << 20, EXIT_USAGE = 1 };

struct program {
	struct settings settings;
	struct logfile  logfile;
	struct io      *io, *boot_io;
	const char     *config_file;
	char            executable[4096];
	struct memory   memory;
};

static void print_usage(void)
{
	printf(
	    "Usage: tintype-server [/path/to/tintype.conf] [options]\n"
	    "       tintype-server --version | --help\n"
	    "       tintype-server --open-at <time | LSN n> --readonly --dir /var/lib/tintype\n\n"
	    "Options are settings, as in the file: --port 7777 --dir /var/lib/tintype --loglevel verbose\n"
	    "They override the file. Every setting is explained in conf/tintype.conf.\n");
}

/* "--name value [value...]" pairs become lines of a configuration. */
static bool append_options(struct buf *text, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			bool alone = i + 1 >= argc || strncmp(argv[i + 1], "--", 2) == 0;
			if (alone && strcmp(argv[i], "--readonly") == 0) {
				buf_append_text(text, "\nreadonly yes");
				continue;
			}
			if (i + 1 >= argc || strlen(argv[i]) == 2)
				return false;
			buf_printf(text, "\n%s", argv[i] + 2);
			continue;
		}
		buf_append_text(text, " \"");
		for (const char *p = argv[i]; *p != 0; p++) {
			if (*p == '"' || *p == '\\')
				buf_append_u8(text, '\\');
			buf_append_u8(text, (uint8_t)*p);
		}
		buf_append_text(text, "\"");
	}
	buf_append_text(text, "\n");
	return true;
}

static bool parse_text(struct program *program, struct span text, const char *where)
{
	char why[256];
	if (settings_parse(&program->settings, text, why, sizeof(why)) == OK)
		return true;
	fprintf(stderr, "\n*** FATAL CONFIG ERROR (%s) ***\n%s\n", where, why);
	return false;
}

static bool load_settings(struct program *program, int argc, char **argv)
{
	struct buf text;
	int first = 1;
	bool ok = true;
	settings_init(&program->settings);
	program->config_file = "";
	buf_init(&text, &program->memory);
	if (argc > 1 && strncmp(argv[1], "--", 2) != 0) {
		program->config_file = argv[1];
		first = 2;
		enum err err = io_load_file(program->boot_io, argv[1], CONFIG_FILE_MAX, &text);
		if (err != OK)
			fprintf(stderr, "*** FATAL: can't open config file '%s': %s\n", argv[1],
			    err_name(err));
		ok = err == OK && parse_text(program, buf_span(&text), argv[1]);
		buf_clear(&text);
	}
	if (ok && first < argc) {
		ok = strncmp(argv[first], "--", 2) == 0 &&
		    append_options(&text, argc - first, argv + first);
		if (!ok)
			print_usage();
		ok = ok && parse_text(program, buf_span(&text), "command line");
	}
	buf_fini(&text);
	return ok;
}

/* Workers are looked for beside the server unless worker-dir says otherwise. */
static void find_workers(struct program *program)
{
	struct settings *settings = &program->settings;
	if (io_executable_path(
	        program->boot_io, program->executable, sizeof(program->executable)) != OK)
		snprintf(program->executable, sizeof(program->executable), "tintype-server");
	const char *slash = strrchr(program->executable, '/');
	if (settings->worker_dir[0] == 0 && slash != NULL &&
	    (size_t)(slash - program->executable) < SETTING_TEXT_MAX)
		snprintf(settings->worker_dir, sizeof(settings->worker_dir), "%.*s",
		    (int)(slash - program->executable), program->executable);
}

static enum err start_io(struct program *program)
{
	static const enum io_backend backends[] = {
	    [IO_BACKEND_AUTO] = IO_AUTO,
	    [IO_BACKEND_URING] = IO_URING,
	    [IO_BACKEND_EPOLL] = IO_EPOLL,
	};
	struct settings *settings = &program->settings;
	struct io_options options = {
		.backend = backends[settings->io_backend], .log = &program->logfile.log,
	};
	int fd = 2;
	enum err err = OK;
	if (settings->logfile[0] != 0)
		err = io_open_log(program->boot_io, settings->logfile, &fd);
	if (err != OK) {
		fprintf(stderr, "*** FATAL: can't open the log file '%s': %s\n", settings->logfile,
		    err_name(err));
		return err;
	}
	/* Until the real back end is there, lines pass through the one that read the settings. */
	logfile_init(&program->logfile, program->boot_io, fd, (enum log_level)settings->loglevel);
	err = io_new(&program->io, &options);
	if (err != OK)
		return err;
	program->logfile.io = program->io;
	io_free(program->boot_io);
	program->boot_io = NULL;
	return OK;
}

static enum err write_pidfile(struct program *program)
{
	char text[32];
	if (program->settings.pidfile[0] == 0)
		return OK;
	int len = snprintf(text, sizeof(text), "%lld\n", (long long)program->logfile.pid);
	return io_save_file(program->io, program->settings.pidfile, span_of(text, (size_t)len));
}

static void pidfile_gone(struct io_op *op, int32_t result)
{
	bool *done = op->ctx;
	UNUSED(result);                   /* somebody else may have removed it */
	*done = true;
}

static void remove_pidfile(struct program *program)
{
	struct io_op op;
	bool done = program->settings.pidfile[0] == 0;
	io_op_init(&op, pidfile_gone, &done);
	if (!done)
		io_unlink(program->io, &op, program->settings.pidfile);
	while (!done)
		io_wait(program->io, IO_FOREVER);
}

/* A server from its start to its end. */
static int serve(struct program *program, bool *again, bool *puts_aside)
{
	struct server *server;
	struct server_options options = {
		.settings = &program->settings, .log = &program->logfile.log,
		.config_file = program->config_file, .executable = program->executable,
	};
	log_notice(&program->logfile.log,
	    "Tintype " TINTYPE_VERSION " speaking Redis " REDIS_VERSION ", pid %lld, back end %s",
	    (long long)program->logfile.pid, io_backend_name(program->io));
	enum err err = server_new(program->io, &options, &server);
	if (err == OK)
		err = write_pidfile(program);
	if (err != OK) {
		log_warning(&program->logfile.log, "cannot start: %s", err_name(err));
		return 1;
	}
	while (server_pass(server))
		;
	int code = server->exit_code;
	*puts_aside = server->puts_aside;
	*again = server->puts_aside || server->restarts;
	if (!*again)
		remove_pidfile(program);
	if (code != 0)
		return code;              /* what failed is in no state to be taken apart */
	server_free(server);
	return 0;
}

/* With a back end of its own, since the locks of the old one last as long as it does. */
static bool begin_anew(struct program *program, bool puts_aside)
{
	static const enum io_backend backends[] = {
	    [IO_BACKEND_AUTO] = IO_AUTO,
	    [IO_BACKEND_URING] = IO_URING,
	    [IO_BACKEND_EPOLL] = IO_EPOLL,
	};
	struct log *log = &program->logfile.log;
	struct io_options boot = {.backend = IO_EPOLL};
	struct io_options options = {
	    .backend = backends[program->settings.io_backend], .log = log};
	if (io_new(&program->boot_io, &boot) != OK)
		return false;
	program->logfile.io = program->boot_io;
	io_free(program->io);
	program->io = NULL;
	enum err err = puts_aside ? store_put_aside(program->boot_io, &program->settings, log) : OK;
	if (err == OK)
		err = io_new(&program->io, &options);
	if (err != OK)
		return false;
	program->logfile.io = program->io;
	io_free(program->boot_io);
	program->boot_io = NULL;
	return true;
}

static int run(struct program *program)
{
	bool again = false, puts_aside = false;
	int code;
	do
		code = serve(program, &again, &puts_aside);
	while (code == 0 && again && begin_anew(program, puts_aside));
	if (code != 0 || again)
		return 1;
	log_notice(&program->logfile.log, "Tintype is now ready to exit, bye bye...");
	io_free(program->io);
	return code;
}

int main(int argc, char **argv)
{
	static struct program program;
	struct io_options boot = {.backend = IO_EPOLL};
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
		printf("Tintype server v=" TINTYPE_VERSION " redis=" REDIS_VERSION "\n");
		return 0;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_usage();
		return 0;
	}
	if (io_new(&program.boot_io, &boot) != OK) {
		fprintf(stderr, "*** FATAL: the machine gives no event loop\n");
		return 1;
	}
	int code = EXIT_USAGE;
	if (load_settings(&program, argc, argv)) {
		find_workers(&program);
		if (start_io(&program) == OK)
			code = run(&program);
	}
	if (program.boot_io != NULL)
		io_free(program.boot_io);
	return code;
}
