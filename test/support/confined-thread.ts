/** A thread that tries what a data plane has no business with, confined or not. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { errno, errnoName, libc } from '../../src/ffi/ffi.ts'
import { confine } from '../../src/ffi/thread/thread.ts'

export interface Attempts {
  confined: boolean
  /** An empty folder. */
  folder: string
}

const CLONE_NEWNET = 0x40000000
const CLONE_NEWUTS = 0x04000000
const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET] = [1, 2, 10, 16, 17]
const SOCK_STREAM_CLOEXEC = 0x80001
const SOCK_RAW_CLOEXEC = 0x80003
const BPF_MAP_CREATE = 0

const { confined, folder }: Attempts = workerData
if (confined) confine('SYS_ADMIN')

const called = (result: number): string => (result < 0 ? errnoName(errno()) : 'done')

function tried(what: () => unknown): string {
  try {
    what()
    return 'done'
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown)
  }
}

const file = join(folder, 'file')
const status = readFileSync('/proc/thread-self/status', 'utf8')
const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]

parentPort?.postMessage({
  status: { capabilities: field('CapEff'), permitted: field('CapPrm'), noNewPrivs: field('NoNewPrivs') },
  refused: {
    'a file is written': tried(() => writeFileSync(file, '')),
    'a folder is made': tried(() => mkdirSync(join(folder, 'made'))),
    'a file is renamed': tried(() => renameSync(join(folder, 'there'), join(folder, 'elsewhere'))),
    'a file is removed': tried(() => unlinkSync(join(folder, 'old'))),
    'a program is run': spawnSync('/bin/true').status === 0 ? 'done' : 'EPERM',
    'a program is run by libc': tried(() => {
      if (libc.posix_spawn(new Uint8Array(4), '/bin/true', null, null, ['true', null], [null]) !== 0) {
        throw Object.assign(new Error(), { code: 'EPERM' })
      }
    }),
    'netlink is spoken': called(libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0)),
    'frames are seen': called(libc.socket(AF_PACKET, SOCK_RAW_CLOEXEC, 0)),
    'another uts namespace is entered': called(libc.setns(openSync('/proc/self/ns/uts', 'r'), CLONE_NEWUTS)),
    'a namespace is made': called(libc.unshare(CLONE_NEWNET)),
    'a map is made': called(libc.bpf(process.arch === 'x64' ? 321 : 280, BPF_MAP_CREATE, arrayMap(), 72)),
  },
  allowed: {
    'a file is read': tried(() => readFileSync('/proc/self/limits')),
    'a socket is made': [AF_UNIX, AF_INET, AF_INET6].map(family =>
      called(libc.socket(family, SOCK_STREAM_CLOEXEC, 0)),
    ),
    'a network namespace is entered': called(
      libc.setns(openSync('/proc/thread-self/ns/net', 'r'), CLONE_NEWNET),
    ),
    'a module is loaded': tried(() => createRequire(import.meta.url)('node:zlib')),
  },
})

/** union bpf_attr of BPF_MAP_CREATE: an array of one u32. */
function arrayMap(): Uint8Array {
  const words = new Uint32Array(18)
  words.set([2, 4, 4, 1])
  return new Uint8Array(words.buffer)
}
