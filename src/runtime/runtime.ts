/**
 * From a word to a running container: `<ctr>` of every command.
 *
 *     web                   any runtime; a name, a whole id, or the beginning of one
 *     docker:web podman:web lxc:web cri:shop/web containerd:k8s.io/4f2a runc:web crun:web cni:4f2a
 *     pid:812               the process's network namespace
 *     netns:web netns:/p    a namespace by its name in /run/netns, or by path
 *
 * Every runtime is asked at once: docker and podman over their API, the others by the files they keep.
 * One that hangs or fails takes nothing from what another answers; its trouble is named if nobody knows
 * the container. Where another knows one by its whole name or id that runs, one that hangs is waited for for a moment
 * (answers.ts); where an id only begins so, for as long as it may take, since it could know one of that name. Which
 * process a container has is asked only of those that fit the word.
 *
 *     list all → those that fit best → their processes → one for each namespace → exactly one
 *
 * Docker's containers are containerd's and runc's as well: what shares a network namespace is one
 * container, and counts as the runtime's that people talk to (the order in sources/sources.ts). If several are
 * left, the reference is ambiguous and all of them are named. What the runtimes do not know (addresses,
 * the bridge) is read from the kernel.
 *
 * To follow a container over a restart is stricter: it must be of the same runtime and have the very same
 * name. The beginning of an id, or a pid that was used again, would lead to a stranger.
 */

import { type ErrorCode, hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { present } from '../model/present.ts'
import { LONG_ID, shortName } from '../model/publication/container-name.ts'
import type { Container, Runtime } from '../model/publication/publication.ts'
import { currentNetns, type Netns, openNetns, sameNamespace, tryOpenNetns } from '../netns/netns.ts'
import { type Answers, type Asked, answersOf } from './answers.ts'
import { listEndpointNames } from './docker-endpoints.ts'
import { type DockerPort, listDockerPorts } from './docker-ports.ts'
import { answersTo, bestOf, eachOnce, type Found, referenceOf, type Source, shortReference } from './found.ts'
import { lookInto } from './network-view.ts'
import { placesOf } from './places.ts'
import { parseReference } from './reference.ts'
import { engine } from './sources/engine.ts'
import { sourcesOf } from './sources/sources.ts'

export type { DockerPort } from './docker-ports.ts'
export { answersTo, type Found } from './found.ts'
export {
  allListening,
  isListenedOn,
  type Listening,
  type ListeningPort,
  listListening,
} from './listening.ts'
export { tryParseReference } from './reference.ts'

/**
 * Finds a running container.
 * @param attached containers that tsnet itself put on a network (runtime `cni`)
 * @param warn hears of a runtime that was not waited for
 * @throws TsnetError `unknown-container`: nobody knows it, or several answer to the name; `not-running`;
 *   `io`, `missing`: the runtimes that might know it do not answer; `invalid-netns`: its network is the
 *   host's; `invalid-environment`: this can be no name
 */
export async function resolveContainer(
  text: string,
  attached: readonly Found[] = [],
  sources: readonly Source[] = sourcesOf(attached),
  warn: (line: string) => void = () => {},
): Promise<Container> {
  const reference = parseReference(text)
  const { runtime } = reference
  if (runtime === 'netns' || runtime === 'pid') return byNamespace(runtime, reference.name)
  const isSure = (all: Found[]) => all.some(each => answersTo(each, reference) === 'by name')
  return find(text, runtime, all => bestOf(all, reference), sources, { isSure, warn })
}

/**
 * Finds a container again that may have been restarted.
 * @throws TsnetError as `resolveContainer`; `try-again` where two have its name: one of them may be on its way out
 */
export async function resolveAgain(
  { runtime, name, reference }: Container,
  attached: readonly Found[] = [],
  sources: readonly Source[] = sourcesOf(attached),
): Promise<Container> {
  if (runtime === 'netns') return byNamespace(runtime, name)
  if (runtime === 'pid') throw new TsnetError('unknown-container', `process ${name} has ended`)
  const choose = (all: Found[]) => all.filter(each => referenceOf(each) === reference)
  return find(reference, runtime, choose, sources, { ambiguous: 'try-again' })
}

/** A running container with the addresses that it has now. @throws TsnetError `invalid-netns` */
export function lookAgain(container: Container): Container {
  const { runtime, id, name, asked, reference, pid, netns: where } = container
  using netns = openNetns(where.path)
  return { runtime, id, name, reference, netns: where, ...present({ asked, pid }), ...lookInto(netns) }
}

/** The ports that dockerd publishes. @throws TsnetError `missing`, `io` */
export const dockerPorts = (): Promise<DockerPort[]> =>
  listDockerPorts(engine('docker', placesOf().dockerSocket))

/** What containers of Docker are called, by the ids of their endpoints. @throws TsnetError `missing`, `io` */
export const endpointNames = (endpoints: readonly string[]): Promise<Map<string, string[]>> =>
  listEndpointNames(engine('docker', placesOf().dockerSocket), endpoints)

/** Whose a container is, and what it is called there. */
export type Whose = Pick<Found, 'runtime' | 'name'>

/**
 * Whose containers are, by their ids, as far as the runtimes of this host answer in time. What `cni` tells is not
 * told: it is what somebody attached, and nobody's name for it.
 */
export async function knownById(
  sources: readonly Source[] = sourcesOf([]),
  patienceMs?: number,
): Promise<Map<string, Whose>> {
  using asked = ask(sources.filter(({ runtime }) => runtime !== 'cni'))
  const { values } = await answersOf(asked.all, () => true, patienceMs)
  const all = values.flat().toReversed()
  return new Map(all.map(({ id, runtime, name }) => [id, { runtime, name }]))
}

/** What people call containers, by their ids, as far as the runtimes of this host answer. */
export async function namesById(sources: readonly Source[] = sourcesOf([])): Promise<Map<string, string>> {
  const known = [...(await knownById(sources))]
  return new Map(known.flatMap(([id, { name }]) => (name === id || LONG_ID.test(name) ? [] : [[id, name]])))
}

interface Finding {
  /** Whether what some have answered cannot become another container by what others would. */
  isSure?: (all: Found[]) => boolean
  ambiguous?: ErrorCode
  warn?: (line: string) => void
}

async function find(
  text: string,
  runtime: Runtime | undefined,
  choose: (all: Found[]) => Found[],
  sources: readonly Source[],
  { isSure = () => false, ambiguous = 'unknown-container', warn = () => {} }: Finding = {},
): Promise<Container> {
  const able = sources.filter(source => runtime === undefined || source.runtime === runtime)
  using asked = ask(able)
  const among = async ({ values, failures, silent }: Answers<Found[]>) => {
    const all = values.flat()
    const chosen = choose(all)
    const located = await answersOf(chosen.map(each => ({ name: each.name, answer: locate(each, able) })))
    // That a runtime is not on this host matters only to those who asked for it.
    const troubles = failures.filter(thrown => runtime !== undefined || !hasCode(thrown, 'missing'))
    const running = located.values.flatMap(describe)
    return { all, chosen, running, silent, troubles: [...troubles, ...located.failures] }
  }
  let found = await among(await answersOf(asked.all, values => isSure(values.flat())))
  if (found.running.length === 0 && found.silent.length > 0) found = await among(await answersOf(asked.all))
  const { all, chosen, running, silent, troubles } = found
  if (running.length === 0) throw failure(text, all, chosen, troubles)
  const container = pickOne(text, running, ambiguous)
  if (silent.length > 0)
    warn(`${shown(text)} is ${container.reference}; ${silent.join(' and ')} did not answer in time`)
  return container
}

/** At its end nobody who has not answered is listened to. */
function ask(sources: readonly Source[]): Disposable & { all: Asked<Found[]>[] } {
  const end = new AbortController()
  const all = sources.map(source => ({
    name: source.runtime,
    answer: (async () => source.list(end.signal))(),
  }))
  return { all, [Symbol.dispose]: () => end.abort() }
}

async function locate(found: Found, sources: readonly Source[]): Promise<Found> {
  if (found.pid !== undefined || found.netnsPath !== undefined) return found
  const source = sources.find(each => each.runtime === found.runtime)
  return source?.locate === undefined ? found : source.locate(found)
}

/** In the order of the sources. */
function pickOne(text: string, running: Container[], ambiguous: ErrorCode): Container {
  const containers = new Map<string, Container>()
  for (const container of running) {
    const key = `${container.netns.dev}:${container.netns.ino}`
    if (!containers.has(key)) containers.set(key, container)
  }
  const [only, ...others] = containers.values()
  if (only === undefined) throw new TypeError('no container was passed')
  if (others.length > 0) {
    const names = [only, ...others].map(each => `${shortReference(each.reference)} (${shortName(each.id)})`)
    throw new TsnetError(
      ambiguous,
      `container ${shown(text)} could be any of ${names.join(', ')}; name one of these`,
    )
  }
  return notOurs(only)
}

/** What the kernel says; nothing when the container is not running, or ended meanwhile. */
function describe(found: Found): Container[] {
  const { runtime, id, name, pid = 0 } = found
  const path = found.netnsPath ?? (pid > 0 ? `/proc/${pid}/ns/net` : undefined)
  using netns = path === undefined ? undefined : tryOpenNetns(path)
  if (netns === undefined) return []
  return [{ runtime, id, name, reference: referenceOf(found), ...(pid > 0 && { pid }), ...seen(netns) }]
}

function byNamespace(runtime: 'pid' | 'netns', name: string): Container {
  const path = runtime === 'pid' ? `/proc/${name}/ns/net` : name.startsWith('/') ? name : `/run/netns/${name}`
  using netns = openNetns(path)
  return notOurs({
    runtime,
    id: runtime === 'pid' ? name : path,
    name,
    reference: `${runtime}:${name}`,
    ...(runtime === 'pid' && { pid: Number(name) }),
    ...seen(netns),
  })
}

const seen = (netns: Netns) => ({ netns: { path: netns.path, ...netns.identity }, ...lookInto(netns) })

/** A container without a network of its own needs no publishing, and rules for it would be for the host. */
function notOurs(container: Container): Container {
  using own = currentNetns()
  if (!sameNamespace(own.id, container.netns)) return container
  throw new TsnetError(
    'invalid-netns',
    `${container.reference} shares the network of this host: its ports are the host's already`,
  )
}

const NAMED = 10

function failure(text: string, all: Found[], chosen: Found[], troubles: unknown[]): TsnetError {
  const what = `container ${shown(text)}`
  if (troubles.length > 0) {
    const code = troubles.every(each => hasCode(each, 'missing')) ? 'missing' : 'io'
    const cause = troubles[0]
    return new TsnetError(code, `${what} was not found: ${troubles.map(messageOf).join('; ')}`, { cause })
  }
  if (chosen.length > 0) return new TsnetError('not-running', `${what} is not running; start it first`)
  const names = eachOnce(all).map(each => shortReference(referenceOf(each)))
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  const hint =
    names.length === 0
      ? 'no runtime on this host has a container'
      : `there are ${names.slice(0, NAMED).join(', ')}${more}`
  return new TsnetError('unknown-container', `no container answers to ${shown(text)}; ${hint}`)
}
