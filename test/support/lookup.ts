/** Programs that ask for a name as the C libraries do: one of glibc, one of musl, in /srv of a host. */

import { writeFileSync } from 'node:fs'
import type { Host } from 'tsnet/lab'

const LOOKUP = `
#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
int main(int count, char **words) {
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
  int failure = getaddrinfo(words[1], 0, &hints, &found);
  if (failure) { puts(gai_strerror(failure)); return 1; }
  for (; found; found = found->ai_next) {
    char text[64];
    void *address = found->ai_family == AF_INET
      ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
      : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
    puts(inet_ntop(found->ai_family, address, text, sizeof text));
  }
  return 0;
}
`

/** Makes /srv/glibc and /srv/musl, which print the addresses of a name, or fail. */
export async function makeLookups(host: Host): Promise<void> {
  writeFileSync(host.path('/srv/lookup.c'), LOOKUP)
  await host.run('musl-gcc', '-static', '-o', '/srv/musl', '/srv/lookup.c')
  await host.run('gcc', '-o', '/srv/glibc', '/srv/lookup.c')
}
