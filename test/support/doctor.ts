/**
 * A host of the lab whose faults a doctor is to find: one row plants one, asks, and takes it back, in one shell.
 *
 *     client eth0 ───────────── lan0 host ─┬─ br-front ─── web, db      8080 (tcp, udp) ─▶ web:80
 *       192.168.50.2   192.168.50.1        └─ br-alone ─── alone        names
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Test } from 'tap'
import type { Finished } from 'tsnet/lab'
import type { Fault } from '../../src/doctor/fault.ts'
import { Command, EXECUTABLE } from './daemon.ts'
import type { Result } from './libcni.ts'
import { NO_DAEMON } from './no-daemon.ts'
import { Scene } from './scene.ts'

export interface Row {
  name: string
  /** As a shell does it, with `tsnet`, $VETH and $MAC of web, $OTHER of db. */
  plant: string
  undo: string
  /** The checks that find it: the first is the one that is meant. */
  found: string[]
  what: RegExp
  cure: RegExp
  /** Of whom it is asked; absent: everything. */
  of?: string
}

const ENV = { ...NO_DAEMON, TSNET_NAT: 'nftables', CNI_PATH: resolve('dist/bin'), EXE: EXECUTABLE }

export class Ward {
  readonly scene: Scene
  readonly tsnet: Command
  readonly #env: Record<string, string>

  private constructor(scene: Scene, env: Record<string, string>) {
    this.scene = scene
    this.#env = env
    this.tsnet = new Command(scene.host, 'nftables', env)
  }

  static async open(t: Test): Promise<Ward> {
    const scene = await Scene.open('nftables', 'web', 'db', 'alone')
    t.teardown(() => scene.close())
    scene.get('web').listen('tcp', 82, '127.0.0.1')
    await scene.host.tmpfs('/etc/docker', '/etc/containers', '/etc/containerd')
    const front = scene.network('front', 10, { macspoofchk: true })
    const alone = scene.network('alone', 30, { names: {} })
    for (const tool of ['iptables', 'ip6tables'])
      await scene.host.run('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-${tool}=0`)
    const folder = scene.host.path('/etc/cni/net.d')
    mkdirSync(folder, { recursive: true })
    for (const { config } of [front, alone]) {
      const list = { cniVersion: '1.1.0', name: config.name, plugins: [config] }
      writeFileSync(`${folder}/10-${config.name}.conflist`, JSON.stringify(list))
    }
    const ports = ['tcp', 'udp'].map(protocol => ({ hostPort: 8080, containerPort: 80, protocol }))
    const web = await front.add(scene.get('web'), { ports })
    const db = await front.add(scene.get('db'))
    await alone.add(scene.get('alone'))
    const ends = { VETH: hostEnd(web), OTHER: hostEnd(db), MAC: macOf(web) }
    return new Ward(scene, { ...ENV, ...ends })
  }

  /** Commands of a shell on the host. */
  shell(script: string, mayFail = false): Promise<Finished> {
    const whole = `tsnet() { "$EXE" "$@"; }\n${script}`
    return this.scene.host.run('sh', '-c', whole, { env: this.#env, mayFail })
  }

  /** What the doctor finds. */
  async faults(of = ''): Promise<Fault[]> {
    const { stdout } = await this.shell(`tsnet doctor ${of} --json`, true)
    return JSON.parse(stdout) as Fault[]
  }

  /** Plants, asks, takes back. */
  async try({ plant, undo, of = '' }: Row): Promise<{ faults: Fault[]; code: number; said: string }> {
    const script = `set -e\n{ ${plant}\n} >&2\nset +e\ntsnet doctor ${of} --json; code=$?\nset -e\n{ ${undo}\n} >&2\nexit $code`
    const { stdout, stderr, code } = await this.shell(script, true)
    try {
      return { faults: JSON.parse(stdout) as Fault[], code, said: stderr }
    } catch {
      throw new Error(`no list came: ${stdout} ${stderr}`)
    }
  }
}

const hostEnd = ({ interfaces }: Result): string =>
  interfaces?.find(({ name, sandbox }) => !sandbox && /^veth|^ts/.test(name))?.name ?? ''
const macOf = ({ interfaces }: Result): string => interfaces?.find(({ sandbox }) => sandbox)?.mac ?? ''

/** Holds a row against what was found. @param always checks that find something whatever is planted */
export async function hold(t: Test, ward: Ward, row: Row, always: string[] = []): Promise<void> {
  const { faults, code, said } = await ward.try(row)
  const checks = [...new Set(faults.map(({ check }) => check))].sort()
  const is = t.strictSame(
    checks,
    [...new Set([...always, ...row.found])].sort(),
    `${row.name}: it, and nothing else`,
  )
  const meant = faults.filter(({ check }) => check === row.found[0])
  t.ok(
    meant.some(({ what }) => row.what.test(what)),
    `${row.name}: named, as ${meant.map(({ what }) => what).join(' | ')}`,
  )
  t.ok(
    meant.some(({ cure }) => row.cure.test(cure)),
    `${row.name}: with its cure, ${meant.map(({ cure }) => cure).join(' | ')}`,
  )
  t.equal(code, 1, `${row.name}: exit code`)
  if (!is) t.comment(`${JSON.stringify(faults, null, 1)}\n${said}`)
}
