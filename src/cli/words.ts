/**
 * What there is on this host for a shell to complete: `tsnet __complete containers`, a word a line. Whoever presses a
 * key waits for it, and sees nothing where something is in the way: no root, no runtime, no answer.
 *
 * bash expands what it completes from: a word that means something to a shell is left out, whoever gave that name.
 */

import { hostOf, listAttached, listInfos } from '../networks/networks.ts'
import { publishedHere } from '../publish/list.ts'
import { namesById } from '../runtime/runtime.ts'
import type { WordKind } from './manual/values.ts'
import type { Terminal } from './terminal.ts'

const HARMLESS = /^[A-Za-z0-9][\w.:/@%+-]*$/

/** Prints them, each once. Never fails. */
export async function printWords(terminal: Terminal, kind: string): Promise<void> {
  const asked = Object.entries(sources).find(([each]) => each === kind)?.[1] ?? []
  const given = await Promise.allSettled(asked.map(async source => source()))
  const words = given.flatMap(each => (each.status === 'fulfilled' ? each.value : []))
  const harmless = [...new Set(words)].filter(word => HARMLESS.test(word)).sort()
  terminal.out(harmless.map(word => `${word}\n`).join(''))
}

const networks = () => listInfos(hostOf(process.env, undefined), () => {}).map(({ name }) => name)
const attached = () => listAttached().map(({ name }) => name)
/** Who does not answer within a second is not heard. */
const ofRuntimes = async () => [...(await namesById()).values()]
/** As `unpublish` takes them. */
const published = () =>
  publishedHere().flatMap(({ hostPort, protocol, containers, service }) => [
    portWord(hostPort, protocol),
    ...(service === undefined ? containers.map(({ name }) => name) : [service.name]),
  ])
const ports = () => [
  ...publishedHere().map(({ hostPort, protocol }) => portWord(hostPort, protocol)),
  ...listAttached().flatMap(each => each.ports.map(({ hostPort, protocol }) => portWord(hostPort, protocol))),
]

const portWord = (port: number, protocol: string): string =>
  protocol === 'tcp' ? String(port) : `${port}/${protocol}`

const sources: Record<WordKind, readonly (() => string[] | Promise<string[]>)[]> = {
  networks: [networks],
  attached: [attached],
  containers: [attached, ofRuntimes],
  published: [published],
  ports: [ports],
  subjects: [networks, attached, ports],
}
