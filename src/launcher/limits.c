/*
 * Whether there is room to start Node. Where there is not it ends by a signal, with words of its own for its own
 * programmers; a runtime hears from us which limit it was.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "launcher.h"

/* What Node, a call and its undoing take, and as many again. Nobody counts below a limit that is high. */
enum { FILES_NEEDED = 48, FILES_PLENTY = 512, THREADS_NEEDED = 16 };

/* How many descriptors are still free, as far as that matters. */
static int free_files(void)
{
	int fds[FILES_NEEDED], count = 0;
	while (count < FILES_NEEDED && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) count++;
	for (int i = 0; i < count; i++) close(fds[i]);
	return count;
}

static long number_in(const char *folder, const char *name)
{
	char path[PATH_MAX], text[32] = "";
	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return -1;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
	close(file);
	return length > 0 && text[0] >= '0' && text[0] <= '9' ? atol(text) : -1;
}

/* How many more processes and threads our control group may have; cgroups(7), either version. */
static long free_threads(char *group, int size)
{
	char line[PATH_MAX];
	long room = THREADS_NEEDED;
	FILE *groups = fopen("/proc/self/cgroup", "re");
	while (groups && fgets(line, sizeof line, groups)) {
		char *path = strstr(line, ":pids:"), *root = "/sys/fs/cgroup/pids";
		if (path) path += strlen(":pids:");
		else if (!strncmp(line, "0::", 3)) path = line + 3, root = "/sys/fs/cgroup";
		else continue;
		path[strcspn(path, "\n")] = 0;
		for (char *end = path + strlen(path); end && end != path; end = strrchr(path, '/')) {
			char folder[2 * PATH_MAX];
			*end = 0;
			snprintf(folder, sizeof folder, "%s%s", root, path);
			long most = number_in(folder, "pids.max"), now = number_in(folder, "pids.current");
			if (most < 0 || now < 0 || most - now >= room) continue;
			room = most > now ? most - now : 0;
			snprintf(group, size, "%.200s", path);
		}
	}
	if (groups) fclose(groups);
	return room;
}

/* The machine's own root, for whom RLIMIT_NPROC does not hold; user_namespaces(7). */
static int is_root(void)
{
	unsigned inside = 1, outside = 1;
	FILE *map = fopen("/proc/self/uid_map", "re");
	int is = map && fscanf(map, "%u %u", &inside, &outside) == 2 && inside == 0 && outside == 0;
	if (map) fclose(map);
	return is && getuid() == 0;
}

/* How many more processes and threads our user may have: nobody counts them for us, so it is tried. */
static int processes_of_user(void)
{
	struct rlimit most;
	pid_t tried[THREADS_NEEDED];
	int count = 0;
	if (getrlimit(RLIMIT_NPROC, &most) < 0 || most.rlim_cur == RLIM_INFINITY || is_root()) return THREADS_NEEDED;
	while (count < THREADS_NEEDED && (tried[count] = fork()) >= 0) {
		if (tried[count++] > 0) continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) pause();
	}
	for (int i = 0; i < count; i++) kill(tried[i], SIGKILL);
	for (int i = 0; i < count; i++) waitpid(tried[i], NULL, 0);
	return count;
}

int has_room(char *lack, int size)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_PLENTY) {
		rlim_t before = files.rlim_cur;
		files.rlim_cur = files.rlim_max < FILES_PLENTY ? files.rlim_max : FILES_PLENTY;
		setrlimit(RLIMIT_NOFILE, &files);
		int count = free_files();
		if (count < FILES_NEEDED) {
			snprintf(lack, size, "of %lu files that this process may have open %d are left, and %d are needed: raise the "
				"limit (ulimit -n, LimitNOFILE)", (unsigned long)(files.rlim_cur ? files.rlim_cur : before), count, FILES_NEEDED);
			return 0;
		}
	}
	char group[256] = "";
	long threads = free_threads(group, sizeof group);
	if (threads < THREADS_NEEDED) {
		snprintf(lack, size, "control group %s may have %ld more processes and threads, and %d are needed: raise its limit "
			"(pids.max, TasksMax)", group, threads, THREADS_NEEDED);
		return 0;
	}
	int count = processes_of_user();
	if (count >= THREADS_NEEDED) return 1;
	snprintf(lack, size, "user %d may have %d more processes and threads, and %d are needed: raise the limit (ulimit -u, "
		"LimitNPROC)", (int)getuid(), count, THREADS_NEEDED);
	return 0;
}
