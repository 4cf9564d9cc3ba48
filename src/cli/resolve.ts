/** `tsnet resolve`: what the gateways of this host's networks tell, by what is written down. */

import { connectControl } from '../control/client.ts'
import { toldOf } from '../daemon/names/known.ts'
import { Zone } from '../dns/dns.ts'
import { type Ip, tryParseIp } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { listEntries } from '../records/records.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import type { Terminal } from './terminal.ts'

/** On one network: of a name its addresses, of an address its names. */
interface Resolved {
  name: string
  network: string
  addresses?: readonly Ip[]
  names?: readonly string[]
}

/**
 * Prints the addresses of a container's name, or the names of an address.
 * @throws TsnetError `unknown-container`
 */
export async function resolveName(
  terminal: Terminal,
  word: string,
  { network, json }: { network?: string | undefined; json: boolean },
): Promise<void> {
  requireRunDirectory()
  const zone = new Zone()
  const networks = new Set<string>()
  for (const { owner, entry } of listEntries()) {
    const told = entry.state === 'attached' ? toldOf(entry.attachment) : undefined
    if (told === undefined) continue
    zone.tell(owner, told.known)
    networks.add(told.known.network)
  }
  const wanted = network === undefined ? [...networks].sort() : [network.toLowerCase()]
  const found = wanted.flatMap(each => resolveOn(zone, each, word))
  for (const why of await troublesOf(wanted)) terminal.error(`tsnet: warning: ${why}\n`)
  if (found.length === 0) {
    const where = network === undefined ? 'any network that tells names' : `network ${network}`
    throw new TsnetError('unknown-container', `nobody is called ${shown(word)} on ${where}`)
  }
  const lines = found.flatMap(each => each.addresses ?? each.names ?? [])
  terminal.out(json ? `${JSON.stringify(found)}\n` : `${[...new Set(lines)].join('\n')}\n`)
}

function resolveOn(zone: Zone, network: string, word: string): Resolved[] {
  const ip = tryParseIp(word)
  // Nobody's own address: whoever asks here is on no network.
  const client = { network, ip: '' as Ip }
  const name = word.toLowerCase().replace(/\.$/, '')
  const found = ip === undefined ? zone.find(client, name) : zone.findNames(client, ip)
  if (found.kind !== 'here' || found.values.length === 0) return []
  const { values } = found
  return [ip === undefined ? { name, network, addresses: values as Ip[] } : { name, network, names: values }]
}

/** Where a daemon runs, and something keeps it from telling names. */
async function troublesOf(networks: readonly string[]): Promise<string[]> {
  using client = await connectControl()
  if (client === undefined) return []
  const asked = networks.map(network => client.ask('name-troubles', { network }) as Promise<string[]>)
  return (await Promise.all(asked)).flat()
}
