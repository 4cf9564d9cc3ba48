/*
 * Called as docker-proxy: what dockerd starts for each published port, and ends when the port shall be free.
 * src/docker-proxy/docker-proxy.ts says what it does and why. This does the same in a hundredth of the
 * memory, and comes back to become that where it does not understand, or something has to be said in words.
 *
 *     ──▶ {"id":1,"do":"docker-proxy","with":{…,"socket":4}}      the daemon copies our descriptor
 *     ◀── {"id":1,"result":null}                                  and serves it as long as we are connected
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "launcher.h"

enum { STATUS_FD = 3, LISTEN_FD = 4, BACKLOG = 4096, ANSWER_WITHIN_S = 4, TRIES = 3 };
enum { LOOK_AGAIN_MS = 50, ASK_AGAIN_MS = 1000, SUCCESSOR_WITHIN_MS = 2000, LEAVE_WITHIN_MS = 1000 };
enum { SERVED, NOBODY, REFUSED };
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

struct end {
	union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } at;
	char ip[INET6_ADDRSTRLEN + IF_NAMESIZE];
	long port;
};

static struct end host, container;
static const char *protocol = "tcp";
static int our_socket = -1;
static volatile sig_atomic_t daemon_fd = -1;

static int read_ip(const char *text, struct end *end)
{
	int v4 = inet_pton(AF_INET, text, &end->at.v4.sin_addr) == 1;
	if (!v4 && inet_pton(AF_INET6, text, &end->at.v6.sin6_addr) != 1) return 0;
	end->at.any.sa_family = v4 ? AF_INET : AF_INET6;
	const void *address = v4 ? (void *)&end->at.v4.sin_addr : &end->at.v6.sin6_addr;
	return inet_ntop(end->at.any.sa_family, address, end->ip, sizeof end->ip) != NULL;
}

/* A link-local address names its interface: fe80::1%eth0. What names none that is there, others complain of. */
static int read_host_ip(const char *text, struct end *end)
{
	char bare[INET6_ADDRSTRLEN] = "";
	size_t length = strcspn(text, "%");
	if (!text[length]) return read_ip(text, end);
	if (length < sizeof bare) memcpy(bare, text, length);
	if (!read_ip(bare, end) || !IN6_IS_ADDR_LINKLOCAL(&end->at.v6.sin6_addr)) return 0;
	const char *zone = text + length + 1;
	if (zone[strspn(zone, NAME_LETTERS)] || !(end->at.v6.sin6_scope_id = if_nametoindex(zone))) return 0;
	strcat(strcat(end->ip, "%"), zone);
	return 1;
}

static int read_port(const char *text, struct end *end)
{
	char *rest;
	end->port = strtol(text, &rest, 10);
	end->at.v4.sin_port = htons(end->port); /* that of sin6 is at the same place */
	return !*rest && end->port > 0 && end->port < 65536;
}

static int read_protocol(const char *text, struct end *end)
{
	(void)end;
	protocol = text;
	return !strcmp(text, "tcp") || !strcmp(text, "udp") || !strcmp(text, "sctp");
}

static const struct flag { const char *name; int (*read)(const char *, struct end *); struct end *end; } flags[] = {
	{ "proto", read_protocol, NULL }, { "host-ip", read_host_ip, &host }, { "container-ip", read_ip, &container },
	{ "host-port", read_port, &host }, { "container-port", read_port, &container }, { NULL, NULL, NULL },
};

static int read_flags(char **words)
{
	for (; *words; words++) {
		const char *name = *words + (**words == '-') + !strncmp(*words, "--", 2);
		const struct flag *flag = flags;
		size_t length = strcspn(name, "=");
		if (name != *words && !strcmp(name, "use-listen-fd")) { our_socket = LISTEN_FD; continue; }
		while (flag->name && (strlen(flag->name) != length || strncmp(flag->name, name, length))) flag++;
		if (name == *words || !flag->name) return 0;
		const char *value = name[length] ? name + length + 1 : *++words;
		if (!value || !flag->read(value, flag->end)) return 0;
	}
	return *host.ip && host.port && *container.ip && container.port;
}

/* An address of many hosts, by itself or by the routes of this one: bind(2) takes it, and nobody would be served. */
static int is_of_many(void)
{
	if (host.at.any.sa_family == AF_INET6) return IN6_IS_ADDR_MULTICAST(&host.at.v6.sin6_addr);
	in_addr_t bits = ntohl(host.at.v4.sin_addr.s_addr);
	if (IN_MULTICAST(bits) || bits == INADDR_BROADCAST) return 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int denied = connect(fd, &host.at.any, sizeof host.at.v4) < 0 && errno == EACCES;
	close(fd);
	return denied;
}

static int open_socket(void)
{
	if (is_of_many()) return -1;
	int udp = !strcmp(protocol, "udp"), v6 = host.at.any.sa_family == AF_INET6, on = 1;
	int number = udp ? IPPROTO_UDP : strcmp(protocol, "tcp") ? IPPROTO_SCTP : IPPROTO_TCP;
	int fd = socket(host.at.any.sa_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, number);
	if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (!udp) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &host.at.any, v6 ? sizeof host.at.v6 : sizeof host.at.v4) < 0) return -1;
	return udp || listen(fd, BACKLOG) == 0 ? fd : -1;
}

static int hand_over(void)
{
	char text[512] = "";
	int length = snprintf(text, sizeof text, "{\"id\":1,\"do\":\"docker-proxy\",\"with\":{\"protocol\":\"%s\","
		"\"hostIp\":\"%s\",\"hostPort\":%ld,\"containerIp\":\"%s\",\"containerPort\":%ld,\"socket\":%d}}\n",
		protocol, host.ip, host.port, container.ip, container.port, our_socket);
	int fd = connect_daemon();
	if (fd < 0) return NOBODY;
	daemon_fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ ANSWER_WITHIN_S, 0 }, sizeof(struct timeval));
	length = write(fd, text, length) == length ? read(fd, text, sizeof text) : 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0 }, sizeof(struct timeval));
	if (length > 0 && !strncmp(text, "{\"id\":1,\"result\"", 16)) return SERVED;
	daemon_fd = -1;
	close(fd);
	return length > 0 ? REFUSED : NOBODY;
}

/* The daemon gives the port back before we end; dockerd waits for that. */
static void leave(int signal)
{
	static const char word[] = "{\"id\":2,\"do\":\"leave\"}\n";
	struct pollfd said = { daemon_fd, POLLIN, 0 };
	char text[256];
	ssize_t length = write(said.fd, word, sizeof word - 1);
	while (length > 0 && poll(&said, 1, LEAVE_WITHIN_MS) > 0 && (length = read(said.fd, text, sizeof text)) > 0)
		if (memmem(text, length, "\"id\":2", 6)) break;
	_exit(signal ? 0 : 1);
}

void docker_proxy(char **words)
{
	int has_status = fcntl(STATUS_FD, F_GETFD) >= 0, answer = NOBODY;
	char text[256];
	if (!read_flags(words + 1) || (our_socket < 0 && (our_socket = open_socket()) < 0)) return;
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
	for (int i = 0; i < TRIES && (answer = hand_over()) == NOBODY; i++) start_daemon(0);
	if (answer != SERVED) return;
	if (has_status && write(STATUS_FD, "0\n", 2) == 2) close(STATUS_FD);
	for (;;) {
		while (read(daemon_fd, text, sizeof text) > 0);
		close(daemon_fd);
		daemon_fd = -1;
		for (int waited = 0; (answer = hand_over()) != SERVED; waited += LOOK_AGAIN_MS) {
			poll(NULL, 0, answer == REFUSED ? ASK_AGAIN_MS : LOOK_AGAIN_MS);
			if (waited >= SUCCESSOR_WITHIN_MS) start_daemon(SUCCESSOR_WITHIN_MS), waited = 0;
		}
	}
}
