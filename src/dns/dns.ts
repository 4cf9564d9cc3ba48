/**
 * Names of containers, told by the gateway of each network to who is on it, and by nobody else.
 *
 *     sources ──tell──▶ NameService ──threads──┬▶ front/  ◀─ UDP ─▶ containers, by their bridge; the host, by lo
 *     (daemon)          sockets.ts             └▶ worker/ ◀─ TCP ─▶ the same
 *                       service.ts
 *
 * Both threads know all names (zone.ts, answer.ts), and ask the name servers of the network, or the host's, for others
 * (forward.ts).
 *
 * A container's names are its aliases and what its runtime calls it, alone, below the network's domain, or below the
 * network's name; and its id, from twelve digits on. Each has A and AAAA records, as many as there are containers of that
 * name, beginning with another one each time; addresses have PTR records. Of a name that somebody has, every type is
 * there, if need be empty. Names below the domain and addresses in our subnets are nobody else's to answer. All other
 * questions go on, where the network says so.
 *
 * What is told is kept by nobody (time to live 0; no SOA beside an empty answer, so that "no" is not kept either): the
 * next container may have the address.
 *
 * The wire is read and printed here (walk.ts, query.ts, print.ts). A library that gives a message as objects loses what
 * has to come back as it was (the case of letters, labels with a dot, types that it does not know), does not compress, and
 * follows pointers as often as they are there; tests hold ours against dns-packet.
 *
 * Who reads bytes of strangers is a thread without capabilities. If one dies, others take the place of both,
 * and the sockets with who waits in them are still there. They are here so that a successor gets them, too.
 *
 * Where a container may reach some names alone, their addresses are let through before it is told them (permit.ts). That is
 * done by who made the threads, since they may not: what they say of an answer is checked again there.
 *
 * Where somebody watches a container, what it is told is reported, too (watched.ts).
 *
 * The host's name servers are those of its resolv.conf. A stub on 127.0.0.53 (systemd-resolved) is asked as it stands,
 * since we ask from where it listens: so names of a VPN and its caches are the host's.
 *
 * Limits: no cache, since the host's resolver has one; no zone transfer, no updates, no DNSSEC of our own.
 */

export { hostServersIn } from './host-servers.ts'
export type { Permit } from './permit.ts'
export { type DoorNumbers, type NamePlace, NameService } from './service.ts'
export { closeDoors, DNS_PORT, isOn } from './sockets.ts'
export type { Telling } from './watched.ts'
export { type Client, type Found, type Known, Zone } from './zone.ts'
