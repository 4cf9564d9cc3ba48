/** Names: that the gateways of networks which tell them answer, asked from within a container as it would ask. */

import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { libc } from '../../ffi/ffi.ts'
import { familyOf, type Ip, ipOf } from '../../model/address/address.ts'
import type { Lease } from '../../model/network.ts'
import { openRecorded } from '../../netns/container.ts'
import { inside } from '../../netns/netns.ts'
import { resolversOf } from '../../network/plan.ts'
import { judgeQuestion } from '../../ports/foreign-rules.ts'
import type { Check, Found } from '../fault.ts'
import { cureForHost } from '../firewalls.ts'
import { type Attached, called, type Patient } from '../patient.ts'
import { connectedSocket } from '../sockets.ts'

export const names: Check<Patient> = {
  name: 'names',
  about: 'gateways tell the names of their networks to containers',
  look: async ({ attached, daemon }) => {
    const told = attached.filter(({ attachment }) => attachment.names !== undefined)
    if (daemon.kind !== 'running') return []
    const networks = [...new Set(told.map(({ attachment }) => attachment.network.toLowerCase()))]
    const troubles = await Promise.all(
      networks.map(async network =>
        ((await daemon.client.ask('name-troubles', { network })) as string[]).map(why => ({ network, why })),
      ),
    )
    const known = troubles.flat()
    const untold = new Set(known.map(({ network }) => network))
    const silent = await Promise.all(
      told.filter(({ attachment }) => !untold.has(attachment.network.toLowerCase())).map(silence),
    )
    return [
      ...known.map(({ network, why }) => ({
        on: `network ${network}`,
        what: why,
        why: 'containers on it find nobody by name',
        cure: 'have the other name server listen on addresses of its own; the daemon tries again every few seconds',
      })),
      ...silent.flat(),
    ]
  },
}

/** A datagram may be lost, and a daemon busy: it is asked again, as resolvers do. */
const TRIES = 4
const EACH_MS = 1_000
const DNS_PORT = 53

async function silence(attached: Attached): Promise<Found[]> {
  const { bridge, leases, netns: recorded, names } = attached.attachment
  const question = questionAbout(names?.domain ?? '')
  const answers = await Promise.all(
    resolversOf(leases).map(async ip => ({ ip, answered: await isAnswered(recorded, ip, question) })),
  )
  return answers
    .filter(({ answered }) => !answered)
    .map(({ ip }) => {
      const obstacle = obstacleBefore(ip, bridge.name, leases)
      const what = `its gateway ${ip} does not answer on port 53`
      return {
        on: called(attached),
        what: obstacle === undefined ? what : `${what}: ${obstacle}`,
        why: 'every name that the container asks for takes seconds, and is not found',
        cure:
          obstacle === undefined
            ? `look whether a rule drops it (INPUT, from the bridge to port 53), and at the daemon's log`
            : cureForHost(obstacle, { protocol: 'udp', port: DNS_PORT, from: bridge.name }),
      }
    })
}

/** The rule of others that drops questions to a gateway, in words. */
function obstacleBefore(ip: Ip, bridge: string, leases: readonly Lease[]): string | undefined {
  const address = leases.find(({ address }) => familyOf(address) === familyOf(ip))?.address
  if (address === undefined) return undefined
  const question = {
    protocol: 'udp',
    hostIp: ip,
    hostPort: DNS_PORT,
    container: ipOf(address),
    bridge,
  } as const
  return judgeQuestion(question)
}

/** Whether there is something of the domain's own name, which is nobody else's to answer: RFC 1035, 4.1. */
function questionAbout(domain: string): Uint8Array {
  const labels = domain.split('.').filter(label => label !== '')
  const name = labels.flatMap(label => [label.length, ...Buffer.from(label)])
  return Uint8Array.of(0x74, 0x73, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, 0, 1, 0, 1)
}

async function isAnswered(
  recorded: Attached['attachment']['netns'],
  ip: Ip,
  question: Uint8Array,
): Promise<boolean> {
  using netns = openRecorded(recorded)
  if (netns === undefined) return true // told elsewhere
  let fd: number
  try {
    fd = inside(netns, () => connectedSocket('udp', { ip, port: DNS_PORT }))
  } catch {
    return true // it has no way there, which is told elsewhere
  }
  const socket = createSocket(familyOf(ip) === 6 ? 'udp6' : 'udp4')
  const heard = new Promise<boolean>(resolve => {
    socket.once('message', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  socket.bind({ fd })
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      libc.send(fd, question, question.length, 0)
      const answered = await Promise.race([heard, sleep(EACH_MS, undefined)])
      if (answered !== undefined) return answered
    }
    return false
  } finally {
    socket.close()
  }
}
