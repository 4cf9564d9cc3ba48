/** Where and how the system may refuse what a process asks of it, by strace, which answers in place of the kernel. */

import { extent } from './extent.ts'

/** A call of this name, counted in its thread as strace does, and what it is answered. */
export interface Refusal {
  call: string
  nth: number
  error: string
}

/** Errors that each call may have, and that nobody can rule out. */
const ERRORS: Readonly<Record<string, readonly string[]>> = {
  openat: ['EMFILE', 'ENOMEM', 'EIO'],
  write: ['ENOSPC', 'EIO'],
  fsync: ['EIO'],
  rename: ['EIO', 'ENOSPC'],
  link: ['ENOSPC', 'EIO'],
  unlink: ['EIO'],
  mkdir: ['ENOSPC'],
  flock: ['ENOLCK', 'EINTR'],
  socket: ['EMFILE', 'ENOMEM'],
  sendto: ['ENOBUFS', 'EINTR'],
  sendmsg: ['ENOBUFS'],
  recvfrom: ['ENOMEM', 'EINTR'],
  recvmsg: ['ENOMEM'],
  setns: ['ENOMEM'],
  unshare: ['ENOSPC'],
  ioctl: ['EIO'],
  execve: ['ENOMEM'],
  // Sockets are connected by the dozen: where few are tried, it would be these.
  ...extent(
    {},
    {
      clone3: ['EAGAIN', 'ENOMEM'],
      connect: ['ECONNREFUSED', 'EAGAIN'],
      fsopen: ['EPERM'],
      fsmount: ['ENOMEM'],
    },
  ),
}

/** The words before a command, or before `-p` and a process. */
export const STRACE: readonly string[] = [
  ...['strace', '-f', '-y', '-qqq', '-e', 'signal=none'],
  ...['-e', `trace=${Object.keys(ERRORS).join(',')}`],
]

export const refused = ({ call, nth, error }: Refusal): string[] => [
  '-e',
  `inject=${call}:error=${error}:when=${nth}`,
]

/** Places of ours: state, leases, namespaces, settings, netlink, the commands of iptables, and what starts a command. */
const OURS =
  /\/run\/(tsnet|netns)|\/var\/lib\/cni|\/proc\/(sys\/net|thread-self\/ns|self\/ns|\d+\/ns)|NETLINK|AF_NETLINK|AF_PACKET|tables-|CLONE_VFORK/

/** What always is ours, wherever. */
const ALWAYS = [
  'rename',
  'link',
  'unlink',
  'mkdir',
  'flock',
  'fsync',
  'setns',
  'unshare',
  'fsopen',
  'fsmount',
]

const isOurs = (call: string, line: string): boolean => ALWAYS.includes(call) || OURS.test(line)

/** All refusals that a run may meet, from what strace said of it. */
export function refusalsIn(trace: string): Refusal[] {
  const seen = new Map<string, number>()
  const found = new Map<string, { call: string; nth: number }>()
  for (const [line, thread = '', call = ''] of trace.matchAll(CALL)) {
    const nth = (seen.get(`${thread} ${call}`) ?? 0) + 1
    seen.set(`${thread} ${call}`, nth)
    if (isOurs(call, line)) found.set(`${call} ${nth}`, { call, nth })
  }
  return [...found.values()].flatMap(place => (ERRORS[place.call] ?? []).map(error => ({ ...place, error })))
}

const CALL = /^(?:\[pid +(\d+)\] )?(\w+)\(.*$/gm

/** Who was refused: we, or Node, of which a later run may ask other things at the same place; or nobody. */
export function refusedIn(trace: string): 'us' | 'Node' | undefined {
  const lines = [...trace.matchAll(CALL)].filter(([line]) => line.endsWith('(INJECTED)'))
  if (lines.length === 0) return undefined
  return lines.every(([line, , call = '']) => isOurs(call, line)) ? 'us' : 'Node'
}
