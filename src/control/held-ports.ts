/**
 * The operations of network/ with a daemon that holds the published ports of what is attached, so that they answer
 * on loopback too, and tells names where the network says so. Where none runs, whoever publishes starts one; where that
 * is forbidden or fails, everything is the same but for that. Where the runtime wants to listen on the ports itself, the
 * daemon comes after it (publish/attachment-ports.ts).
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isOfNames, type Permission, permissionText } from '../model/address/reach.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { type Network, ownerTag } from '../model/network.ts'
import { describeHostPorts } from '../model/port-mapping.ts'
import { surroundings } from '../model/surroundings.ts'
import * as network from '../network/network.ts'
import { portHolder } from '../network/take-down.ts'
import { warn } from '../ports/foreign-rules.ts'
import { hasLasting } from '../records/lasting.ts'
import { runDirectory } from '../records/run-directory.ts'
import { askAgain } from './ask-again.ts'
import { type ControlClient, connectControl } from './client.ts'
import { readSettings, SETTINGS_FILE } from './settings.ts'
import { daemonAtHand } from './start.ts'

/** Who holds the ports of attachments, and tells their names. */
export interface PortHolder {
  /** All ports of an attachment, or none; its names can be asked for then. */
  serve(owner: string): Promise<void>
  release(owner: string): Promise<void>
  /** What keeps names from being told on a network, and what is amiss between its hosts: sentences. */
  troubles(network: Talked): Promise<string[]>
}

/** A network of which the daemon has something to say. */
export type Talked = Pick<Network, 'name' | 'names' | 'hosts'>

/** What is amiss between the hosts of a network. */
export interface HostTrouble {
  network: string
  /** A sentence. */
  why: string
}

type Held = (PortHolder & Disposable) | undefined
type Attach = Parameters<typeof network.attach>

/**
 * The operations of this process, whatever takes an attachment down included.
 * @param holder whoever holds ports now; it is let go of after each operation
 * @param forPorts whoever shall hold the ports of a new attachment
 */
export function operationsWith(
  holder: () => Promise<Held>,
  forPorts: (request: Attach[0]) => Promise<Held> = holder,
) {
  portHolder.release = async owner => {
    using held = await holder()
    // A daemon in trouble is no reason to keep anything: it looks for itself soon.
    await held?.release(owner).catch(() => {})
  }
  return {
    ...network,
    attach: (...asked: Attach) => attachWith(forPorts, ...asked),
    status: (asked: Network) => statusWith(holder, asked),
  }
}

/** Names that are not told, and hosts that are not heard of, keep nobody from being attached: it is said. */
async function statusWith(holder: () => Promise<Held>, asked: Network): Promise<void> {
  await network.status(asked)
  if (asked.names === undefined && asked.hosts === undefined) return
  using held = await holder()
  const unheard = asked.hosts === undefined ? [] : ['no daemon answers that would hear of the other hosts']
  const troubles = held === undefined ? unheard : await held.troubles(asked).catch(() => [])
  for (const trouble of troubles) warn(`network ${asked.name}`, trouble)
}

async function attachWith(forPorts: (request: Attach[0]) => Promise<Held>, ...[request, context]: Attach) {
  const publishes = request.ports.length > 0
  // It may be the first call after a reboot, and this the container that a publication waits for.
  const needsDaemon = publishes || request.network.names !== undefined || hasLasting()
  using held = needsDaemon ? await forPorts(request) : undefined
  if (held === undefined) {
    checkNeedsNobody(request)
    return network.attach(request, context)
  }
  const attachment = await network.attach(request, publishes ? { ...context, loopbackServed: true } : context)
  try {
    await serve(ownerTag(attachment), held, () => forPorts(request))
    return attachment
  } catch (thrown) {
    await network.detach(attachment)
    throw thrown
  }
}

/** Names of a list lead nowhere while nobody tells them. @throws TsnetError `try-again` */
function checkNeedsNobody({ network, reach = network.reach }: Attach[0]): void {
  const named = reach?.allow.find(isOfNames)
  if (named !== undefined) throw untold(network.name, named)
}

const untold = (network: string, named: Permission): TsnetError =>
  new TsnetError(
    'try-again',
    `network ${network}: egress.allow has ${permissionText(named)}, and no daemon runs that would tell the name and let its addresses through`,
    { details: 'start it: tsnet daemon; or allow addresses' },
  )

/**
 * Who tells names, as far as there is somebody.
 * @param named a name of a list that needs somebody; he is started then
 * @throws TsnetError `try-again`: one is needed, and none runs
 */
export async function holderOfNames(network: string, named: Permission | undefined): Promise<Held> {
  if (named === undefined) return answering()
  const held = await atHand({ ports: [], network: { name: network, names: {} } })
  if (held === undefined) throw untold(network, named)
  return held
}

/** One that dies or ends in between is followed by another, which is asked once more. */
const serve = (owner: string, held: PortHolder, another: () => Promise<Held>): Promise<void> =>
  askAgain(async isAgain => {
    using next = isAgain ? await another() : undefined
    await (isAgain ? next : held)?.serve(owner)
  })

/** The daemon that runs. That there is none is found out before anything is loaded for it. */
async function running(): Promise<ControlClient | undefined> {
  const mayRun = existsSync(join(runDirectory(), 'control.sock'))
  return mayRun ? await connectControl() : undefined
}

/** One that is stopped or frozen looks for itself when it goes on. */
async function answering(): Promise<Held> {
  const client = await running()
  if (client === undefined || client.standstill() === undefined) return client && holderOf(client)
  client[Symbol.dispose]()
  return undefined
}

const holderOf = (client: ControlClient): PortHolder & Disposable => ({
  serve: async owner => void (await client.ask('serve', { owner })),
  release: async owner => void (await client.ask('release', { owner })),
  troubles: async ({ name, names, hosts }) => [
    ...(names === undefined ? [] : ((await client.ask('name-troubles', { network: name })) as string[])),
    ...(hosts === undefined ? [] : ((await client.ask('host-troubles')) as HostTrouble[]))
      .filter(({ network }) => network === name)
      .map(({ why }) => why),
  ],
  [Symbol.dispose]: () => client[Symbol.dispose](),
})

/** A runtime waits for us, and from outside the port answers in any case. */
const START_WITHIN_MS = 10_000

/** The daemon, started where none runs. What keeps it from starting, or answering, is said, and is no error. */
async function atHand(request: Needing): Promise<Held> {
  const there = await running()
  try {
    there?.mustAnswer()
    if (there !== undefined || !mayStart()) return there && holderOf(there)
    return holderOf(await daemonAtHand(START_WITHIN_MS))
  } catch (thrown) {
    there?.[Symbol.dispose]()
    for (const lost of withoutDaemon(request))
      surroundings().complain(`tsnet: ${lost}: ${messageOf(thrown)}\n`)
    return undefined
  }
}

/** What of a request needs a daemon. */
interface Needing extends Pick<Attach[0], 'ports'> {
  network: { name: string; names?: object }
}

const withoutDaemon = ({ ports, network: { name, names } }: Needing): string[] => [
  ...(ports.length > 0
    ? [`port ${ports.map(describeHostPorts).join(', ')} does not answer on 127.0.0.1 and ::1 of this host`]
    : []),
  ...(names === undefined ? [] : [`names are not told on network ${name} before the daemon runs`]),
  ...(hasLasting() ? ['what is kept (publish --keep) is not published before the daemon runs'] : []),
]

function mayStart(): boolean {
  if (surroundings().env.TSNET_DAEMON === 'running') return false
  try {
    return readSettings(SETTINGS_FILE).onDemand
  } catch {
    // It will say itself what is wrong with its settings.
    return true
  }
}

export const { attach, detach, check, collect, status } = operationsWith(answering, atHand)
