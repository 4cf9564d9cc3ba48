/*
 * Connections over TCP, one after the other.
 *
 *     connections listen PORT                    takes them, and waits until they end
 *     connections ADDRESS PORT COUNT             nanoseconds until each is there, a line for each
 *
 * Who connects ends them by a reset, so that none is left waiting.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int tcp(void)
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0) err(1, "socket");
	return sock;
}

static void listen_at(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int sock = tcp(), one = 1;
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(sock, (struct sockaddr *)&at, sizeof at) < 0) err(1, "bind");
	if (listen(sock, 4096) < 0) err(1, "listen");
	for (;;) {
		int guest = accept(sock, NULL, NULL);
		if (guest < 0) continue;
		char byte;
		while (read(guest, &byte, 1) > 0);
		close(guest);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "listen") == 0) listen_at(atoi(argv[2]));
	if (argc != 4) errx(2, "connections listen PORT | ADDRESS PORT COUNT");
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
	if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) errx(2, "%s is no address", argv[1]);
	struct linger reset = {.l_onoff = 1};
	for (int left = atoi(argv[3]); left > 0; left--) {
		int sock = tcp();
		setsockopt(sock, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		long long start = now();
		if (connect(sock, (struct sockaddr *)&to, sizeof to) < 0) err(1, "connect");
		printf("%lld\n", now() - start);
		close(sock);
	}
}
