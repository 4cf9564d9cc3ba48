/**
 * What the programs add to a connect(2), by the kernel's own count. That reads a clock, which takes longer than most
 * connects take in the program: so a program that does nothing is counted beside it, and taken off.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { attr, bpf, pinned } from '../../src/bpf/bpf.ts'
import { attachToCgroup, BPF_CGROUP_INET4_CONNECT, openCgroupRoot } from '../../src/bpf/cgroup.ts'
import { exit, movImm, R0 } from '../../src/bpf/instructions.ts'
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, loadProgram } from '../../src/bpf/program.ts'
import { Fd } from '../../src/ffi/fd.ts'
import { libc } from '../../src/ffi/ffi.ts'
import { AF_INET, sockaddr } from '../../src/ffi/sockaddr.ts'
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../../src/ffi/socket.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { type Side, WEB } from '../proxy/scene.ts'
import type { Line } from '../report.ts'
import { summarize } from '../statistics.ts'

/** enum bpf_cmd */
const [PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, ENABLE_STATS] = [13, 15, 32] as const
/** struct bpf_prog_info */
const INFO = { size: 232, runTimeNs: 192, runCount: 200 } as const

const TURNS = 9
const CONNECTS = 1000
const NOBODY = 9

const NOTHING = {
  name: 'nothing',
  type: BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
  attachType: BPF_CGROUP_INET4_CONNECT,
  licence: 'Apache-2.0',
}

/** @param side with clients on the host, whose first process has the programs */
export function connectLines({ ip, http, pids: [daemon = 0] }: Side): Line[] {
  using program = programOf(daemon)
  using nothing = loadProgram(NOTHING, [movImm(R0, 1), exit()])
  using root = openCgroupRoot()
  using _ = attachToCgroup(nothing, root, BPF_CGROUP_INET4_CONNECT)
  using _stats = new Fd(bpf('BPF_ENABLE_STATS', ENABLE_STATS, attr([0, 0])))
  const kinds: [work: string, ip: string, port: number, limitNs?: number][] = [
    ['a connect elsewhere', WEB, NOBODY, 60],
    ['a connect to loopback, not published', '127.0.0.1', NOBODY],
    ['a connect that is led', ip, http, 800],
  ]
  const counted: number[] = []
  const lines = kinds.map(([work, address, port, limit]): Line => {
    const turn = () => {
      const before = [countsOf(program), countsOf(nothing)] as const
      for (let i = 0; i < CONNECTS; i++) connectOnce(address, port)
      const clock = perRun(before[1], countsOf(nothing))
      counted.push(clock)
      return perRun(before[0], countsOf(program)) - clock
    }
    turn() // so that neither side does it for the first time
    const figures = Array.from({ length: TURNS }, turn)
    const line = { work: `in the program: ${work}`, by: 'redirect', unit: 'ns', summary: summarize(figures) }
    return limit === undefined ? line : { ...line, limit }
  })
  const own = {
    work: 'what counting takes',
    by: 'a program of nothing',
    unit: 'ns',
    summary: summarize(counted),
  }
  return [...lines, own]
}

function connectOnce(ip: string, port: number): void {
  using socket = new Fd(libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  const address = sockaddr(parseIp(ip), port)
  libc.connect(socket.number, address, address.length)
}

/** A process's program for connect(2) of IPv4, by what /proc says of its links. */
function programOf(pid: number): Fd {
  const folder = `/proc/${pid}/fdinfo`
  for (const name of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${name}`, 'utf8')
    const [, id] = /^prog_id:\t(\d+)$/m.exec(text) ?? []
    const [, hook] = /^attach_type:\t(\d+)$/m.exec(text) ?? []
    if (id === undefined || Number(hook) !== BPF_CGROUP_INET4_CONNECT) continue
    return new Fd(bpf('BPF_PROG_GET_FD_BY_ID', PROG_GET_FD_BY_ID, attr([0, Number(id)])))
  }
  throw new Error(`process ${pid} redirects nothing`)
}

interface Counts {
  ns: number
  runs: number
}

const perRun = (before: Counts, after: Counts): number => (after.ns - before.ns) / (after.runs - before.runs)

function countsOf(program: Fd): Counts {
  const info = pinned(INFO.size)
  bpf('info', OBJ_GET_INFO_BY_FD, attr([0, program.number], [4, info.length], [8, info]))
  const view = new DataView(info.buffer)
  return {
    ns: Number(view.getBigUint64(INFO.runTimeNs, true)),
    runs: Number(view.getBigUint64(INFO.runCount, true)),
  }
}
