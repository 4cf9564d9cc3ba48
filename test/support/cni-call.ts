/** Calls the plugin with operations that only write down what they are asked. */

import { type Answer, answer } from '../../src/cni/cni.ts'
import type { Operations } from '../../src/cni/plugin.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import type { Attachment, AttachRequest } from '../../src/model/network.ts'

/** One operation that was asked for, with its arguments. */
export interface Asked {
  operation: keyof Operations
  arguments: unknown[]
}

export interface Outcome extends Answer {
  /** What stands on stdout. */
  json: Record<string, unknown>
  asked: Asked[]
}

export interface PluginCall {
  env?: Record<string, string | undefined>
  /** A text as it is, anything else as JSON. */
  stdin?: unknown
  calledAs?: string
  /** What an operation does in place of succeeding. */
  operations?: Partial<Operations>
}

export const environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'web-1',
  CNI_NETNS: '/run/netns/web-1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}

/** A configuration that every version accepts. */
export const configuration = (more: object = {}) => ({
  cniVersion: '1.1.0',
  name: 'front',
  type: 'tsnet',
  ipam: { type: 'host-local', subnet: '10.1.0.0/16' },
  ...more,
})

/** Runs the plugin in this process. Reading stdin twice, or where it must not be read, throws. */
export async function callPlugin(call: PluginCall = {}): Promise<Outcome> {
  const asked: Asked[] = []
  const note = <Name extends keyof Operations>(operation: Name, otherwise: Operations[Name]) =>
    ((...given: never[]) => {
      asked.push({ operation, arguments: given })
      return ((call.operations?.[operation] ?? otherwise) as (...given: never[]) => unknown)(...given)
    }) as Operations[Name]
  const { stdin = configuration() } = call
  const { stdout, exitCode } = await answer({
    env: { ...environment, ...call.env },
    calledAs: call.calledAs ?? 'tsnet',
    readStdin: () => (typeof stdin === 'string' ? stdin : JSON.stringify(stdin)),
    operations: async () => ({
      attach: note('attach', async request => attachmentOf(request)),
      detach: note('detach', async () => {}),
      check: note('check', async () => {}),
      collect: note('collect', async () => []),
      status: note('status', async () => {}),
    }),
  })
  return { stdout, exitCode, asked, json: stdout === '' ? {} : JSON.parse(stdout) }
}

/** What the first operation was asked, as an AttachRequest. */
export const requestOf = (outcome: Outcome): AttachRequest => outcome.asked[0]?.arguments[0] as AttachRequest

/** What might come out of a request: 10.1.0.2 and fd00::2, a route, a resolver. */
export function attachmentOf(request: AttachRequest, more: Partial<Attachment> = {}): Attachment {
  const { network, containerId, ifname } = request
  return {
    network: network.name,
    containerId,
    ifname,
    netns: { path: request.netns, dev: 4, ino: 4026532000 },
    bootId: '00000000-0000-0000-0000-000000000000',
    createdAt: '2026-01-01T00:00:00.000Z',
    bridgeName: network.bridge.name,
    bridge: { name: network.bridge.name, mac: '02:00:00:00:00:01', mtu: 1500 },
    hostInterface: { name: 'veth1', mac: '02:00:00:00:00:02', mtu: 1500 },
    containerInterface: { name: ifname, mac: request.mac ?? '02:00:00:00:00:03', mtu: 1500 },
    ipam: network.ipam,
    leases: [
      { address: parseCidr('10.1.0.2/16'), gateway: parseIp('10.1.0.1') },
      { address: parseCidr('fd00::2/64') },
    ],
    routes: [
      { dst: parseCidr('0.0.0.0/0'), gw: parseIp('10.1.0.1'), mtu: 1400, table: 254 },
      { dst: parseCidr('fd01::/64') },
    ],
    dns: { nameservers: ['10.1.0.1'], search: ['front.test'], options: [], domain: 'test' },
    ports: request.ports,
    macspoofchk: false,
    aliases: request.aliases,
    ...more,
  }
}
