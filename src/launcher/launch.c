/*
 * What container runtimes execute: `tsnet`, and every link to it.
 *
 *     runtime ──exec──▶ this ──▶ the daemon, on <run directory>/call.sock
 *                         └────▶ exec node <our folder>/tsnet.cjs NAME ARGUMENT…
 *
 * Starting Node takes many times what a CNI call does, so this asks a process that has been started:
 *
 *     ──▶ "<length>\n" <stdin>                                     a CNI call; all of it, as it came
 *     ──▶ "command <length>\n" <stdin>                             a command that only asks the daemon, and no stdin; or a
 *                                                                  call of netavark
 *     ◀── "tsnet\n"                                                at once: it will be done
 *     ◀── "<exit code> <length> <length>\n" <stdout> <stderr>      it is done
 *
 * It says nothing of itself. The daemon knows who is connected (SO_PEERCRED) and looks in /proc for its
 * environment, command line and namespaces. Open, the connection says that the caller waits; closed after
 * the answer, that it was read.
 *
 * Whatever else happens, this becomes Node, with the stdin that was read: there is no daemon, it serves
 * another namespace and closes without a word, it is stuck, stopped or frozen, it answers garbage or half. A daemon that died
 * in the midst left a journal, and the process id stays, by which Node knows what was begun for it. Only one that is
 * stopped or frozen in the midst keeps what it has begun to itself: then the answer is to try again.
 *
 * Other commands, and a call that has a device for stdin, go to Node at once. Built by `npm run build` where
 * there is `cc`; where there is none, launch.cjs does the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "launcher.h"

/* What a daemon has begun may wait for locks of others, a minute each. */
#ifndef CALL_WITHIN_MS
#define CALL_WITHIN_MS 600000
#endif
/* A command that takes longer is asked for by Node, which knows how long it may take, and says what it waits for. */
#ifndef COMMAND_WITHIN_MS
#define COMMAND_WITHIN_MS 60000
#endif

/* By whom we were asked: a CNI runtime, podman as a plugin of netavark, or a person. */
enum kind { CALL, PLUGIN, COMMAND };

enum { STDIN_MAX = 10000000, ANSWER_MAX = 300000000, PATIENCE_MS = 10000, SEND_WITHIN_S = 2, LOOK_MS = 500, LOOKS = 2, TRY_AGAIN = 11, OTHERWISE = 999 };

struct text { char *at; size_t length; };

/* A daemon that does not go on, and why. */
struct kept { int pid; enum state by; };

static long long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Reads on to the end, until there are that many bytes, or to a time, as EAGAIN; ends in NUL. -1 for an error. */
static int read_to(int fd, struct text *text, size_t enough, long long end_ms)
{
	for (ssize_t count = 1; count != 0 && text->length < enough;) {
		char *at = realloc(text->at, text->length + 65537);
		if (at == NULL) return -1;
		text->at = at;
		count = read(fd, at + text->length, 65536);
		if (count > 0) text->length += count;
		at[text->length] = 0;
		if (count > 0 && now_ms() >= end_ms) return errno = EAGAIN, -1;
		if (count >= 0 || errno == EINTR) continue;
		if (errno != EAGAIN || fd != STDIN_FILENO) return -1;
		poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1);
	}
	return 0;
}

static int write_all(int fd, const char *at, size_t length)
{
	while (length > 0) {
		ssize_t count = write(fd, at, length);
		if (count >= 0) at += count, length -= count;
		else if (errno == EAGAIN && fd == STDOUT_FILENO) poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
		else if (errno != EINTR) return -1;
	}
	return 0;
}

/*
 * As read_to, for as long as whoever is at the other end runs, and for a time in which all of it has to come, not only
 * something; -2 where it does not run any more, or is late. What keeps it counts when it is seen twice: a debugger stops
 * a process for a moment. One that has ended may have left the connection to a child.
 */
static int hear(int daemon, struct text *answer, size_t enough, int within_ms, struct kept *kept)
{
	struct ucred peer = { 0 };
	long long end_ms = now_ms() + within_ms;
	for (int seen = 0; read_to(daemon, answer, enough, end_ms) < 0;) {
		if (errno != EAGAIN) return -1;
		getsockopt(daemon, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){ sizeof peer });
		kept->by = peer.pid > 0 ? state_of(kept->pid = peer.pid) : RUNS;
		seen = kept->by == RUNS ? 0 : seen + 1;
		if (seen == LOOKS || now_ms() >= end_ms) return -2;
	}
	return 0;
}

/* Whether it asks nobody but the daemon; which words it may have, the daemon knows. */
static int is_for_daemon(const char *command)
{
	static const char *const commands[] = { "publish", "unpublish", "ports", "ps", "ls", "inspect" };
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(command, commands[i])) return 1;
	return 0;
}

/* What netavark starts its plugins with, which people say nowhere else. */
static int is_netavarks(int argc, char **argv)
{
	static const struct { const char *word; int words; } calls[] = { { "create", 2 }, { "setup", 3 }, { "teardown", 3 }, { "info", 2 } };
	for (size_t i = 0; argc > 1 && i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(argv[1], calls[i].word)) return argc == calls[i].words;
	return 0;
}

/* What takes something down is finished when it has begun. */
static int goes_to_the_end(const char *verb)
{
	return !strcmp(verb, "DEL") || !strcmp(verb, "GC") || !strcmp(verb, "teardown");
}

/* What a call says that cannot wait any longer for a daemon that has begun it. */
static const char *const still[] = {
	[RUNS] = "the daemon (pid %d) has not answered within ten minutes; look at its log, end it, and try again",
	[STOPPED] = "the daemon (pid %d) is stopped in the middle of this call; continue it (kill -CONT %d), or end it, and try again",
	[FROZEN] = "the daemon (pid %d) is frozen in the middle of this call; thaw its control group (see /proc/%d/cgroup), "
		"and try again",
};

/*
 * Comes back where there is no answer, with what was read of stdin.
 * verb: CNI_COMMAND, or the first word; a command reads nothing.
 */
static void ask_daemon(enum kind kind, const char *verb, struct text *input)
{
	int call = kind != COMMAND;
	const char *folder = getenv("TSNET_RUN_DIR");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int size = sizeof address.sun_path;
	if (snprintf(address.sun_path, size, "%s/call.sock", folder ? folder : "/run/tsnet") >= size) return;
	int daemon = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (daemon <= STDERR_FILENO) return;
	struct timeval patience = { .tv_sec = SEND_WITHIN_S }, look = { .tv_usec = LOOK_MS * 1000 };
	setsockopt(daemon, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(daemon, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
	if (connect(daemon, (struct sockaddr *)&address, sizeof address) < 0) return;
	for (int i = 0; i < 3 && call && goes_to_the_end(verb); i++) signal((int[]){ SIGTERM, SIGINT, SIGHUP }[i], SIG_IGN);
	if (call && read_to(STDIN_FILENO, input, STDIN_MAX, LLONG_MAX) < 0) return;
	if (input->length >= STDIN_MAX) return;

	char length[32];
	struct text answer = { 0 };
	if (write_all(daemon, length, sprintf(length, kind == CALL ? "%zu\n" : "command %zu\n", input->length)) < 0) return;
	unsigned code, out, err;
	int head = 0;
	long long asked_at = time(NULL);
	struct kept kept = { 0 };
	if (write_all(daemon, input->at, input->length) < 0) return;
	if (hear(daemon, &answer, 1, PATIENCE_MS, &kept) < 0) return;
	if (hear(daemon, &answer, ANSWER_MAX, call ? CALL_WITHIN_MS : COMMAND_WITHIN_MS, &kept) == -2 && call && kept.by != GONE) {
		say_error(input->at, kind == PLUGIN ? NETAVARK : TRY_AGAIN, still[kept.by], kept.pid, kept.pid);
		exit(1);
	}
	int is_whole = sscanf(answer.at, "tsnet\n%u %u %u%n", &code, &out, &err, &head) == 3 && answer.at[head++] == '\n';
	if (!is_whole || (size_t)head + out + err != answer.length) {
		snprintf(length, sizeof length, "%lld", asked_at);
		if (!call) setenv("TSNET_ASKED_AT", length, 1);
		return;
	}
	/* A command ends without a word when nobody reads it, as ours does in Node. */
	if (!call && write_all(STDOUT_FILENO, answer.at + head, out) < 0) exit(1);
	write_all(STDERR_FILENO, answer.at + head + out, err);
	if (!call || write_all(STDOUT_FILENO, answer.at + head, out) == 0) exit(code);
	perror("tsnet: stdout");
	exit(1);
}

/* Answers a call that nobody can do, as whoever asks wants to be answered. */
static int fail(enum kind kind, struct text *input, int code, const char *why)
{
	if (kind == COMMAND) return fprintf(stderr, "tsnet: %s\n", why), code == TRY_AGAIN ? 1 : 127;
	if (kind == PLUGIN) code = NETAVARK;
	else if (input->length == 0) read_to(STDIN_FILENO, input, STDIN_MAX, LLONG_MAX);
	say_error(input->at, code, "%s", why);
	return 1;
}

int main(int argc, char **argv)
{
	const char *command = getenv("CNI_COMMAND"), *daemon = getenv("TSNET_DAEMON");
	struct text input = { 0 };
	struct stat in;
	char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc > 0 ? argv[0] : "tsnet";
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(name, "docker-proxy")) docker_proxy(argv);
	int is_off = daemon && !strcmp(daemon, "off");
	enum kind kind = command && *command ? CALL : is_netavarks(argc, argv) ? PLUGIN : COMMAND;
	int has_input = kind != COMMAND && fstat(STDIN_FILENO, &in) == 0 && !S_ISCHR(in.st_mode);
	if (!is_off && (has_input || (kind == COMMAND && argc > 1 && is_for_daemon(argv[1]))))
		ask_daemon(kind, kind == CALL ? command : argv[1], &input);
	char lack[512] = "";
	if (!has_room(lack, sizeof lack)) return fail(kind, &input, TRY_AGAIN, lack);
	if (input.length > 0) {
		int again = memfd_create("stdin", 0);
		if (write_all(again, input.at, input.length) < 0 || lseek(again, 0, SEEK_SET) < 0 || dup2(again, 0) < 0)
			return perror("tsnet: stdin"), 1;
	}

	char folder[PATH_MAX] = "", script[PATH_MAX + 16], record[PATH_MAX + 16], node[PATH_MAX] = "node";
	char *words[argc + 6], **word = words;
	if (readlink("/proc/self/exe", folder, sizeof folder - 1) < 0) return perror("tsnet: /proc/self/exe"), 1;
	*strrchr(folder, '/') = 0;
	snprintf(script, sizeof script, "%s/tsnet.cjs", folder);
	snprintf(record, sizeof record, "%s/known-node", folder);
	*word++ = "node";
	/*
	 * Node's own strings keep the hashes that they were built with, which spares making them anew, a sixth of its start.
	 * Who knows the seed could choose keys that collide: what a call reads is its runtime's, and it ends at once.
	 */
	if (kind != COMMAND && is_known_node(record, node, sizeof node)) *word++ = "--no-rehash-snapshot";
	else strcpy(node, "node");
	if (argc > 1 && !strcmp(argv[1], "daemon")) {
		// It waits most of its life, and should not keep what it needed for a moment: a heap for each thread,
		// megabytes of young objects.
		setenv("MALLOC_ARENA_MAX", "1", 0);
		*word++ = "--max-semi-space-size=1";
	}
	*word++ = script;
	*word++ = name;
	for (int i = 1; i < argc; i++) *word++ = argv[i];
	*word = NULL;
	execvp(node, words);
	snprintf(lack, sizeof lack, "node cannot be started: %s", strerror(errno));
	return fail(kind, &input, kind != COMMAND && (errno == EAGAIN || errno == ENOMEM) ? TRY_AGAIN : OTHERWISE, lack);
}
