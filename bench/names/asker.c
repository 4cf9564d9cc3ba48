/*
 * Asks a name server, and says how long each answer took, or how many there were.
 *
 *     asker ADDRESS one COUNT NAME…               one question at a time, after a tenth as many that do not count:
 *                                                 nanoseconds of each, a line for each
 *     asker ADDRESS many MILLISECONDS NAME…       as many as are answered, with 64 under way: how many those were, and
 *                                                 nanoseconds they took
 *
 * Questions are of type A, over UDP, from one socket, the names in turn. What is no answer to the question, is no success
 * or has no record ends it with exit code 1; so does silence, but of many a datagram may be lost.
 *
 * A name that begins with #NUMBER is another one each time: n0001000.example.org, n0001001.example.org … of #1000.example.org.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, LONGEST = 512, UNDER_WAY = 64, PATIENCE_MS = 2000 };

static int sock;
static char **names;
static int name_count;

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void ask(unsigned number)
{
	static unsigned turn;
	char numbered[LONGEST];
	unsigned char bytes[LONGEST] = {number >> 8, number, 1, 0, 0, 1};
	int at = HEADER;
	const char *label = names[number % name_count];
	if (*label == '#') {
		char *rest;
		unsigned long first = strtoul(label + 1, &rest, 10);
		snprintf(numbered, sizeof numbered, "n%07lu%s", first + turn++, rest);
		label = numbered;
	}
	while (*label) {
		int length = strcspn(label, ".");
		bytes[at++] = length;
		memcpy(bytes + at, label, length);
		at += length;
		label += length + (label[length] == '.');
	}
	memcpy(bytes + at, "\0\0\1\0\1", 5);
	if (send(sock, bytes, at + 5, 0) < 0) err(1, "send");
}

/* Which question was answered; -1: none within so long. */
static int answered(int patience_ms)
{
	unsigned char bytes[LONGEST];
	struct pollfd one = {sock, POLLIN, 0};
	ssize_t length = recv(sock, bytes, sizeof bytes, MSG_DONTWAIT);
	if (length < 0 && errno == EAGAIN) {
		if (poll(&one, 1, patience_ms) <= 0) return -1;
		length = recv(sock, bytes, sizeof bytes, 0);
	}
	if (length < 0) err(1, "recv");
	if (length < HEADER || !(bytes[2] & 0x80) || (bytes[3] & 0xf) || !(bytes[6] | bytes[7]))
		errx(1, "an answer of %zd bytes, flags %02x%02x, %d records", length, bytes[2], bytes[3], bytes[7]);
	return bytes[0] << 8 | bytes[1];
}

static void one_by_one(int count)
{
	for (int n = -count / 10; n < count; n++) {
		long long start = now();
		ask(n & 0xffff);
		int number;
		while ((number = answered(PATIENCE_MS)) != (n & 0xffff))
			if (number < 0) errx(1, "no answer to %s", names[(n & 0xffff) % name_count]);
		if (n >= 0) printf("%lld\n", now() - start);
	}
}

static void many(int milliseconds)
{
	long long start = now(), end = start + milliseconds * 1000000LL;
	unsigned sent = 0, got = 0, lost = 0;
	do {
		for (; sent - got - lost < UNDER_WAY; sent++) ask(sent & 0xffff);
		if (answered(got == 0 ? PATIENCE_MS : 100) >= 0) got++;
		else if (got == 0) errx(1, "no answer");
		else lost = sent - got;
	} while (now() < end);
	printf("%u %lld\n", got, now() - start);
}

int main(int argc, char **argv)
{
	if (argc < 5) errx(2, "asker ADDRESS one|many COUNT|MILLISECONDS NAME...");
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
	if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) errx(2, "%s is no address", argv[1]);
	if ((sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0) err(1, "socket");
	if (connect(sock, (struct sockaddr *)&to, sizeof to) < 0) err(1, "connect");
	names = argv + 4;
	name_count = argc - 4;
	if (strcmp(argv[2], "one") == 0) one_by_one(atoi(argv[3]));
	else many(atoi(argv[3]));
}
