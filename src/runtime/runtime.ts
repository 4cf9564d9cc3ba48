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
 * the container. Which process a container has is asked only of those that fit the word.
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
import { type DockerPort, listDockerPorts } from './docker-ports.ts'
import { bestOf, eachOnce, type Found, referenceOf, type Source, shortReference } from './found.ts'
import { lookInto } from './network-view.ts'
import { placesOf } from './places.ts'
import { parseReference } from './reference.ts'
import { engine } from './sources/engine.ts'
import { sourcesOf } from './sources/sources.ts'

export type { DockerPort } from './docker-ports.ts'
export { answersTo, type Found } from './found.ts'
export { allListening, type Listening, type ListeningPort, listListening } from './listening.ts'
export { tryParseReference } from './reference.ts'

/**
 * Finds a running container.
 * @param attached containers that tsnet itself put on a network (runtime `cni`)
 * @throws TsnetError `unknown-container`: nobody knows it, or several answer to the name; `not-running`;
 *   `io`, `missing`: the runtimes that might know it do not answer; `invalid-netns`: its network is the
 *   host's; `invalid-environment`: this can be no name
 */
export async function resolveContainer(
  text: string,
  attached: readonly Found[] = [],
  sources: readonly Source[] = sourcesOf(attached),
): Promise<Container> {
  const reference = parseReference(text)
  const { runtime } = reference
  if (runtime === 'netns' || runtime === 'pid') return byNamespace(runtime, reference.name)
  return find(text, runtime, all => bestOf(all, reference), sources)
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
  return find(reference, runtime, choose, sources, 'try-again')
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

/** What people call containers, by their ids, as far as the runtimes of this host answer. */
export async function namesById(sources: readonly Source[] = sourcesOf([])): Promise<Map<string, string>> {
  const { values } = await settle(sources.map(async source => source.list()))
  const all = values.flat().toReversed()
  return new Map(all.flatMap(({ id, name }) => (name === id || LONG_ID.test(name) ? [] : [[id, name]])))
}

async function find(
  text: string,
  runtime: Runtime | undefined,
  choose: (all: Found[]) => Found[],
  sources: readonly Source[],
  ambiguous: ErrorCode = 'unknown-container',
): Promise<Container> {
  const asked = sources.filter(source => runtime === undefined || source.runtime === runtime)
  const lists = await settle(asked.map(async source => source.list()))
  // That a runtime is not on this host matters only to those who asked for it.
  const silent = lists.failures.filter(thrown => runtime !== undefined || !hasCode(thrown, 'missing'))
  const all = lists.values.flat()
  const chosen = choose(all)
  const located = await settle(chosen.map(found => locate(found, asked)))
  const running = located.values.flatMap(describe)
  if (running.length > 0) return pickOne(text, running, ambiguous)
  throw failure(text, all, chosen, [...silent, ...located.failures])
}

async function locate(found: Found, sources: readonly Source[]): Promise<Found> {
  if (found.pid !== undefined || found.netnsPath !== undefined) return found
  const source = sources.find(each => each.runtime === found.runtime)
  return source?.locate === undefined ? found : source.locate(found)
}

async function settle<T>(promises: Promise<T>[]): Promise<{ values: T[]; failures: unknown[] }> {
  const outcomes = await Promise.allSettled(promises)
  return {
    values: outcomes.flatMap(each => (each.status === 'fulfilled' ? [each.value] : [])),
    failures: outcomes.flatMap(each => (each.status === 'rejected' ? [each.reason] : [])),
  }
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
