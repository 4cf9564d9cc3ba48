/*
 * Runs the calls of a plan and says how long each took, from before posix_spawnp to after wait4.
 *
 *     meter PLAN FOLDER
 *
 * Whoever measures sleeps meanwhile: between two calls nothing happens but what the plan says. A plan has a word and its
 * text on each line; what comes before `run` makes up that call:
 *
 *     pause MILLISECONDS     wait, before what comes next
 *     clock PID              say how much processor time a process has had
 *     netns PATH             in which network namespace what follows is run
 *     arg WORD               the program, then its words
 *     env NAME=VALUE         its whole environment
 *     text TEXT              a piece of its stdin
 *     answer NAME            a piece of its stdin: what the last call of that name said on stdout
 *     run NAME               run it
 *
 * What it prints for each `run` and `clock`, in nanoseconds; processor time is user's and system's of a call with all
 * that it waited for; a process has waited while its first thread could run and had no processor:
 *
 *     WALL PROCESSOR 0
 *     0 PROCESSOR WAITED
 *
 * stdin, stdout and stderr of a call are files, so nobody has to write or read while it runs; those of stdout are in the
 * folder, under the name of the call, also for the next plan. The first call that fails ends it, exit code 1, with what
 * that call said.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 64 };

static char *args[WORDS + 1], *env[WORDS + 1];
static int argc, envc, input = -1, folder;

static long long nanoseconds(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now) < 0) err(1, "clock_gettime");
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long of(struct timeval time) { return time.tv_sec * 1000000000LL + time.tv_usec * 1000LL; }

static int file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0) err(1, "memfd_create");
	return fd;
}

static void add(char **list, int *count, const char *word)
{
	if (*count == WORDS) errx(1, "more than %d words: %s", WORDS, word);
	list[(*count)++] = strdup(word);
}

static void put(const char *text, size_t length)
{
	if (input < 0) input = file("stdin");
	if (write(input, text, length) != (ssize_t)length) err(1, "stdin of a call");
}

static void copy(int from, int to)
{
	char piece[65536];
	off_t at = 0;
	for (ssize_t count; (count = pread(from, piece, sizeof piece, at)) > 0; at += count)
		if (write(to, piece, count) != count) err(1, "copy");
}

/* Where what the call of a name says is kept. */
static int answer(const char *name, int flags)
{
	int fd = openat(folder, name, flags | O_CLOEXEC, 0600);
	if (fd < 0) err(1, "the answer of %s", name);
	return fd;
}

static void put_answer(const char *name)
{
	int from = answer(name, O_RDONLY);
	put("", 0);
	copy(from, input);
	close(from);
}

static void run(const char *name)
{
	int output = answer(name, O_CREAT | O_TRUNC | O_RDWR), errors = file("stderr"), status;
	struct rusage usage;
	pid_t child;
	posix_spawn_file_actions_t files;
	put("", 0);
	if (lseek(input, 0, SEEK_SET) < 0) err(1, "stdin of a call");
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);

	long long start = nanoseconds(CLOCK_MONOTONIC);
	int failed = posix_spawnp(&child, args[0], &files, NULL, args, env);
	if (failed) errx(1, "%s: %s", args[0], strerror(failed));
	if (wait4(child, &status, 0, &usage) < 0) err(1, "wait4");
	long long end = nanoseconds(CLOCK_MONOTONIC);

	printf("%lld %lld 0\n", end - start, of(usage.ru_utime) + of(usage.ru_stime));
	if (status != 0) {
		fprintf(stderr, "%s of %s ended with %d%s: ", name, args[0], WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
			WIFEXITED(status) ? "" : " (signal)");
		copy(output, STDERR_FILENO);
		copy(errors, STDERR_FILENO);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&files);
	close(input), close(output), close(errors);
	input = -1;
	while (argc > 0) free(args[--argc]), args[argc] = NULL;
	while (envc > 0) free(env[--envc]), env[envc] = NULL;
}

static void enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) err(1, "%s", path);
	close(fd);
}

static void say_clock(const char *pid)
{
	clockid_t clock;
	long long ran, waited = 0;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/schedstat", atoi(pid));
	FILE *statistics = fopen(path, "re");
	if (statistics) {
		if (fscanf(statistics, "%lld %lld", &ran, &waited) != 2) errx(1, "%s", path);
		fclose(statistics);
	}
	if (clock_getcpuclockid(atoi(pid), &clock)) errx(1, "no such process: %s", pid);
	printf("0 %lld %lld\n", nanoseconds(clock), waited);
}

static void pause_for(double milliseconds)
{
	long long ns = milliseconds * 1e6;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ ns / 1000000000, ns % 1000000000 }, NULL);
}

static void obey(const char *word, char *text)
{
	if (!strcmp(word, "pause")) pause_for(atof(text));
	else if (!strcmp(word, "clock")) say_clock(text);
	else if (!strcmp(word, "netns")) enter(text);
	else if (!strcmp(word, "arg")) add(args, &argc, text);
	else if (!strcmp(word, "env")) add(env, &envc, text);
	else if (!strcmp(word, "text")) put(text, strlen(text));
	else if (!strcmp(word, "answer")) put_answer(text);
	else if (!strcmp(word, "run")) run(text);
	else errx(1, "not a word of a plan: %s", word);
}

int main(int count, char **words)
{
	FILE *plan = count == 3 ? fopen(words[1], "re") : NULL;
	static char said[1 << 20];
	char *line = NULL;
	size_t room = 0;
	if (!plan || (folder = open(words[2], O_PATH | O_CLOEXEC)) < 0) err(1, "usage: meter PLAN FOLDER");
	/* Who reads this shall not wake up in the midst. */
	setvbuf(stdout, said, _IOFBF, sizeof said);
	while (getline(&line, &room, plan) > 0) {
		line[strcspn(line, "\n")] = 0;
		char *text = strchr(line, ' ');
		if (text) *text++ = 0;
		obey(line, text ? text : "");
	}
	return 0;
}
