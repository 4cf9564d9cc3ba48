/*
 * A name server that knows all names: the address of n0000017.example.org is the seventeenth behind 64.0.0.0.
 *
 *     upstream ADDRESS
 *
 * Over UDP, a question at a time; an answer lasts no time. What is asked for but an A record has none.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HEADER = 12, LONGEST = 512, FIRST = 64 << 24 };

int main(int argc, char **argv)
{
	if (argc != 2) errx(2, "upstream ADDRESS");
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
	if (inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) errx(2, "%s is no address", argv[1]);
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0) err(1, "socket");
	if (bind(sock, (struct sockaddr *)&at, sizeof at) < 0) err(1, "bind");
	for (;;) {
		unsigned char bytes[LONGEST + 16];
		struct sockaddr_storage from;
		socklen_t length_of_from = sizeof from;
		ssize_t length = recvfrom(sock, bytes, LONGEST, 0, (struct sockaddr *)&from, &length_of_from);
		if (length < HEADER + 7) continue;
		int end = HEADER;
		while (end < length && bytes[end]) end += bytes[end] + 1;
		end += 5;
		if (end > length) continue;
		bytes[2] |= 0x80;
		bytes[3] = 0x80;
		memset(bytes + 6, 0, 6);
		if (bytes[end - 4] == 0 && bytes[end - 3] == 1) {
			unsigned number = htonl(FIRST + atoi((char *)bytes + HEADER + 2));
			bytes[7] = 1;
			memcpy(bytes + end, "\xc0\x0c\0\1\0\1\0\0\0\0\0\4", 12);
			memcpy(bytes + end + 12, &number, 4);
			end += 16;
		}
		sendto(sock, bytes, end, 0, (struct sockaddr *)&from, length_of_from);
	}
}
