/* The daemon, found or started in the background; as src/control/start.ts, which shares the lock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "launcher.h"

enum { START_WITHIN_MS = 20000, FDS_MAX = 1024 };

extern char **environ;

/* What means something to a daemon. NOTIFY_SOCKET, say, speaks of the process that we were started by. */
static const char *const meant[] = { "PATH=", "HOME=", "LANG=", "TSNET_", "XTABLES_LOCKFILE=", "DOCKER_HOST=",
	"CONTAINER_HOST=", "CONTAINERD_ADDRESS=", "CONTAINERS_STORAGE_CONF=", NULL };

/* The path of a file in the run directory; empty where it is too long for a socket. */
static const char *in_run(const char *name)
{
	static struct sockaddr_un room;
	const char *folder = getenv("TSNET_RUN_DIR");
	int size = sizeof room.sun_path;
	return snprintf(room.sun_path, size, "%s%s", folder ? folder : "/run/tsnet", name) < size ? room.sun_path : "";
}

int connect_daemon(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, in_run("/control.sock"));
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
	close(fd);
	return -1;
}

/* Of a session of its own, with nothing of its starter's but what means something to it. */
static void become_daemon(int ready)
{
	int count = 0, log = open(in_run("/daemon.log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	for (char **each = environ; *each; each++) {
		const char *const *prefix = meant;
		while (*prefix && strncmp(*each, *prefix, strlen(*prefix))) prefix++;
		if (*prefix && strncmp(*each, "TSNET_WORKS_FOR=", 16)) environ[count++] = *each;
	}
	environ[count] = NULL;
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(ready, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++) close(fd);
	if (setsid() > 0 && chdir("/") == 0) execl("/proc/self/exe", "tsnet", "daemon", "--idle", "1m", NULL);
}

/* Whoever had it before us has removed its name: others wait for another file by then. */
static int take_turn(void)
{
	for (;;) {
		struct stat file = { .st_nlink = 1 };
		int lock = open(in_run("/start.lock"), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (lock < 0) return lock;
		flock(lock, LOCK_EX);
		if (fstat(lock, &file) == 0 && file.st_nlink > 0) return lock;
		close(lock);
	}
}

/* Of any number that come here at the same time, one starts it, and the others wait for that. */
void start_daemon(int pause_ms)
{
	mkdir(in_run(""), 0700);
	int ready[2], lock = take_turn();
	int meanwhile = connect_daemon();
	if (meanwhile < 0 && pipe2(ready, O_CLOEXEC) == 0) {
		pid_t child = fork();
		if (child == 0) {
			/* A child of init's, so that its end is nobody's business. */
			if (fork() == 0) become_daemon(ready[1]);
			_exit(0);
		}
		close(ready[1]);
		waitpid(child, NULL, 0);
		/* It says a word when it is ready, and closes this when it ends. */
		struct pollfd said = { ready[0], POLLIN, 0 };
		poll(&said, 1, START_WITHIN_MS);
		if (!(said.revents & POLLIN)) poll(NULL, 0, pause_ms);
		close(ready[0]);
	}
	close(meanwhile);
	unlink(in_run("/start.lock"));
	close(lock);
}
