/* A process that does not go on, and how a call is answered without Node. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "launcher.h"

/* The beginning of a file; empty where there is none. */
static const char *begin_of(const char *path, char *text, int size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? 0 : read(file, text, size - 1);
	close(file);
	text[length > 0 ? length : 0] = 0;
	return text;
}

/* cgroups(7): freezer.state of version 1; cgroup.events of version 2, which lies apart where there are both. */
static int is_frozen(int pid)
{
	static const struct { const char *line, *root, *file, *says; } places[] = {
		{ ":freezer:", "/sys/fs/cgroup/freezer", "freezer.state", "FROZEN" },
		{ "::", "/sys/fs/cgroup", "cgroup.events", "frozen 1" },
		{ "::", "/sys/fs/cgroup/unified", "cgroup.events", "frozen 1" },
	};
	char path[2 * PATH_MAX], line[PATH_MAX], text[512];
	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	FILE *groups = fopen(path, "re");
	int is = 0;
	while (groups && !is && fgets(line, sizeof line, groups)) {
		line[strcspn(line, "\n")] = 0;
		for (int i = 0; i < 3 && !is; i++) {
			const char *key = places[i].line, *at = strchr(line, ':');
			if (!at || strncmp(at, key, strlen(key))) continue;
			snprintf(path, sizeof path, "%s%s/%s", places[i].root, at + strlen(key), places[i].file);
			is = strstr(begin_of(path, text, sizeof text), places[i].says) != NULL;
		}
	}
	if (groups) fclose(groups);
	return is;
}

/* proc_pid_stat(5), field 3, which stands behind a name that may hold anything. */
enum state state_of(int pid)
{
	char path[32], text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	const char *name_end = strrchr(begin_of(path, text, sizeof text), ')');
	char letter = name_end && name_end[1] ? name_end[2] : 0;
	if (letter == 'T') return STOPPED;
	if (letter == 'Z' || letter == 'X' || (kill(pid, 0) < 0 && errno == ESRCH)) return GONE;
	return is_frozen(pid) ? FROZEN : RUNS;
}

void say_error(const char *input, int code, const char *format, ...)
{
	char version[16] = "1.1.0", message[1024];
	const char *key = input ? strstr(input, "\"cniVersion\"") : NULL;
	va_list words;
	if (key) sscanf(key, "\"cniVersion\"%*[ \t\r\n:]\"%15[0-9.]", version);
	va_start(words, format);
	vsnprintf(message, sizeof message, format, words);
	va_end(words);
	if (code == NETAVARK) printf("{\"error\":\"%s\"}\n", message);
	else printf("{\n    \"cniVersion\": \"%s\",\n    \"code\": %d,\n    \"msg\": \"%s\"\n}\n", version, code, message);
	fflush(stdout);
}
