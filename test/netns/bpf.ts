/** Programs and maps on the kernel that runs: what it takes, and what it says against the rest. */

import { mkdirSync, openSync, readFileSync, rmdirSync } from 'node:fs'
import t from 'tap'
import { attr, bpf } from '../../src/bpf/bpf.ts'
import { attachToCgroup, BPF_CGROUP_INET4_CONNECT, openCgroupRoot } from '../../src/bpf/cgroup.ts'
import { call, exit, jmp, type Line, label, ldx, movImm, R0, R1 } from '../../src/bpf/instructions.ts'
import { BPF_MAP_TYPE_ARRAY, createMap, createSocketStorage } from '../../src/bpf/map.ts'
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, loadProgram } from '../../src/bpf/program.ts'
import { Fd } from '../../src/ffi/fd.ts'
import { LICENCE } from '../../src/redirect/programs.ts'

const load = (lines: Line[], licence = 'Apache-2.0'): Fd =>
  loadProgram(
    {
      name: 'tsnet_test',
      type: BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
      attachType: BPF_CGROUP_INET4_CONNECT,
      licence,
    },
    lines,
  )
const letPass = [movImm(R0, 1), exit()]

/** What close-on-exec is, in /proc/PID/fdinfo. */
const O_CLOEXEC = 0o2000000

t.test('what the verifier says against a program is in the error', async t => {
  t.throws(() => load([ldx('W', R0, R1, 4096), exit()]), {
    code: 'kernel',
    message: /BPF_PROG_LOAD tsnet_test/,
    details: /invalid bpf_context access off=4096/,
  })
  load(letPass).close()
})

/** Reads a byte of struct tcp6_sock, by way of bpf_skc_to_tcp6_sock. */
const READ: Line[] = [
  ldx('DW', R1, R1, 64), // sk of struct bpf_sock_addr
  jmp('JEQ', R1, 0, 'pass'),
  call(136),
  jmp('JEQ', R0, 0, 'pass'),
  ldx('B', R0, R0, 0),
  label('pass'),
  ...letPass,
]

t.test("who reads the kernel's structures says a licence that goes with the GPL", async t => {
  load(READ, LICENCE).close()
  t.throws(() => load(READ), { code: 'kernel', details: /non-GPL compatible program/ })
})

t.test('a map holds what it is given, forgets it, and says when it is full', async t => {
  using map = createMap('tsnet_test', { type: 1, keySize: 4, valueSize: 8, maxEntries: 2 })
  const key = (n: number) => Uint8Array.of(n, 0, 0, 0)
  map.set(key(1), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
  t.same([...(map.get(key(1)) ?? [])], [1, 2, 3, 4, 5, 6, 7, 8])
  t.equal(map.get(key(2)), undefined)
  map.set(key(2), new Uint8Array(8))
  t.throws(() => map.set(key(3), new Uint8Array(8)), { code: 'E2BIG' })
  t.equal(map.delete(key(1)), true)
  t.equal(map.delete(key(1)), false)
})

t.test('no child gets what is made here', async t => {
  using program = load(letPass)
  using array = createMap('tsnet_test', { type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 8, maxEntries: 1 })
  using storage = createSocketStorage('tsnet_test', 40)
  using root = openCgroupRoot()
  using link = attachToCgroup(program, root, BPF_CGROUP_INET4_CONNECT)
  for (const number of [program.number, array.fd, storage.fd, root.number, link.number]) {
    const [, flags = '0'] = /flags:\t(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'utf8')) ?? []
    t.ok(Number.parseInt(flags, 8) & O_CLOEXEC, `descriptor ${number}`)
  }
})

t.test("beside somebody's program that wants to be alone there is no place", async t => {
  using root = openCgroupRoot()
  const folder = `/proc/self/fd/${root.number}/tsnet-test-${process.pid}`
  mkdirSync(folder)
  using group = new Fd(openSync(folder, 'r'))
  using program = load(letPass)
  // BPF_PROG_ATTACH: target_fd, attach_bpf_fd, attach_type, and none of the flags that let others in
  bpf('BPF_PROG_ATTACH', 8, attr([0, group.number], [4, program.number], [8, BPF_CGROUP_INET4_CONNECT]))
  t.throws(() => attachToCgroup(program, group, BPF_CGROUP_INET4_CONNECT), { code: 'EPERM' })
  bpf('BPF_PROG_DETACH', 9, attr([0, group.number], [8, BPF_CGROUP_INET4_CONNECT]))
  attachToCgroup(program, group, BPF_CGROUP_INET4_CONNECT).close()
  rmdirSync(folder)
})
