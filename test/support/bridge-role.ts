/**
 * Hosts on which the bridge plugin is called, the reference's or ours, and what it leaves in the kernel, in
 * a form that does not depend on what is random.
 */

import type { Test } from 'tap'
import { type Host, lab, type Namespace, type World } from 'tsnet/lab'
import {
  type DropInAnswer,
  type DropInCall,
  environmentOf,
  folders,
  readAnswer,
  type Whose,
} from './drop-in.ts'

export interface RoleCall extends Partial<DropInCall> {
  /** Keys over those of the configuration. */
  top?: object
  /** CNI_NETNS where it is not the container's. */
  netns?: string
}

/** A host, and whose plugin is called there unless a call says otherwise. */
export class Stage {
  readonly whose: Whose
  readonly host: Host

  constructor(whose: Whose, host: Host) {
    this.whose = whose
    this.host = host
  }

  container(name: string): Promise<Namespace> {
    return this.host.namespace(name)
  }

  async call(
    command: string,
    place: Namespace | string,
    config: object,
    { top, netns, ...more }: RoleCall = {},
    whose: Whose = this.whose,
  ): Promise<DropInAnswer> {
    const known =
      typeof place === 'string'
        ? { containerId: place, netns: '' }
        : { containerId: place.name, netns: place.path }
    const call = {
      plugin: 'bridge',
      command,
      config,
      ...known,
      ...(netns === undefined ? {} : { netns }),
      ...more,
    }
    return readAnswer(
      await this.host.run(`${folders[whose]}/${call.plugin}`, {
        env: environmentOf(whose, call),
        stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ...config, ...top }),
        mayFail: true,
      }),
    )
  }

  /** Lines that a command prints on the host, without what is random. */
  async lines(...command: [string, ...string[]]): Promise<string[]> {
    const [program, ...args] = command
    const { stdout } = await this.host.run(program, ...args, { mayFail: true })
    return tidy(stdout).split('\n')
  }

  /** Rules: both families' nat table, and nft's tables of the plugin. */
  async rules(): Promise<string[]> {
    const rules = async (command: string) =>
      (await this.lines(command, '-t', 'nat')).filter(line => /^-A |^:CNI/.test(line)).sort()
    return [
      ...(await rules('iptables-save')),
      ...(await rules('ip6tables-save')),
      ...(await this.lines('nft', 'list', 'table', 'bridge', 'nat')),
    ]
  }

  /** Links and addresses of the host that are about containers. */
  async links(): Promise<string[]> {
    const all = await this.lines('ip', '-o', 'address')
    const ports = await this.lines('bridge', '-d', 'link')
    return [
      // The reference lets the host's end have a link-local address, and asks on the bridge for duplicates.
      ...all.filter(line => !/ fe80::| lo /.test(line)).map(line => line.replace(/ (nodad|tentative)/g, '')),
      ...ports.map(line => line.replace(/^\d+: /, '')),
    ].map(line => line.trim().replace(/^\d+: /, ''))
  }
}

/** Addresses and routes in a container. */
export async function inside(place: Namespace): Promise<string[]> {
  const show = async (...args: [string, ...string[]]) =>
    tidy((await place.run('ip', ...args)).stdout).split('\n')
  const lines = [
    ...(await show('-o', 'address', 'show', 'dev', 'eth0')),
    ...(await show('route')),
    ...(await show('-6', 'route')),
  ]
  return lines
    .map(line => line.trim().replace(/^\d+: | (nodad|tentative)| pref medium/g, ''))
    .filter(line => !/fe80::/.test(line))
}

/** MACs and names of veths are random. */
export const tidy = (text: string): string =>
  text
    .replace(/\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b/g, 'MAC')
    .replace(/\bveth[0-9a-f]{8}\b/g, 'VETH')
    .replace(/@if\d+|\[\d+:\d+\]|link-netnsid \d+/g, '')
    .replace(/(designated_bridge|designated_root) \S+/g, '')

/** An answer without what is random. */
export const tidyAnswer = (answer: DropInAnswer): DropInAnswer => JSON.parse(tidy(JSON.stringify(answer)))

/** A host for each, with everything alike, gone with the test. */
export async function openStages(t: Test): Promise<{ world: World; theirs: Stage; ours: Stage }> {
  const world = await lab()
  t.teardown(() => world.end())
  const [theirs, ours] = await Promise.all([world.host('theirs'), world.host('ours')])
  return { world, theirs: new Stage('reference', theirs), ours: new Stage('tsnet', ours) }
}
