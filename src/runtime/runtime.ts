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
 * container, and counts as the runtime's that people talk to (the order in sources.ts). If several are
 * left, the reference is ambiguous and all of them are named. What the runtimes do not know (addresses,
 * the bridge) is read from the kernel.
 *
 * To follow a container over a restart is stricter: it must be of the same runtime and have the very same
 * name. The beginning of an id, or a pid that was used again, would lead to a stranger.
 */

import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import type { Container, Runtime } from '../model/publication.ts'
import { currentNetns, type Netns, openNetns, sameNamespace, tryOpenNetns } from '../netns/netns.ts'
import { bestOf, type Found, referenceOf, type Source } from './found.ts'
import { lookInto } from './network-view.ts'
import { parseReference } from './reference.ts'
import { sourcesOf } from './sources.ts'

export type { Found } from './found.ts'
export { type ListeningPort, listListening } from './listening.ts'

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

/** Finds a container again that may have been restarted. @throws TsnetError as `resolveContainer` */
export async function resolveAgain(
  { runtime, name, reference }: Container,
  attached: readonly Found[] = [],
  sources: readonly Source[] = sourcesOf(attached),
): Promise<Container> {
  if (runtime === 'netns') return byNamespace(runtime, name)
  if (runtime === 'pid') throw new TsnetError('unknown-container', `process ${name} has ended`)
  return find(reference, runtime, all => all.filter(each => referenceOf(each) === reference), sources)
}

async function find(
  text: string,
  runtime: Runtime | undefined,
  choose: (all: Found[]) => Found[],
  sources: readonly Source[],
): Promise<Container> {
  const asked = sources.filter(source => runtime === undefined || source.runtime === runtime)
  const lists = await settle(asked.map(async source => source.list()))
  // That a runtime is not on this host matters only to those who asked for it.
  const silent = lists.failures.filter(thrown => runtime !== undefined || !hasCode(thrown, 'missing'))
  const all = lists.values.flat()
  const chosen = choose(all)
  const located = await settle(chosen.map(found => locate(found, asked)))
  const running = located.values.flatMap(describe)
  if (running.length > 0) return pickOne(text, running)
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
function pickOne(text: string, running: Container[]): Container {
  const containers = new Map<string, Container>()
  for (const container of running) {
    const key = `${container.netns.dev}:${container.netns.ino}`
    if (!containers.has(key)) containers.set(key, container)
  }
  const [only, ...others] = containers.values()
  if (only === undefined) throw new TypeError('no container was passed')
  if (others.length > 0) {
    const names = [only, ...others].map(each => `${each.reference} (${each.id.slice(0, 12)})`)
    throw new TsnetError(
      'unknown-container',
      `container ${JSON.stringify(text)} could be any of ${names.join(', ')}; name one of these`,
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

const seen = (netns: Netns) => ({ netns: { path: netns.path, ...netns.id }, ...lookInto(netns) })

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
  const what = `container ${JSON.stringify(text)}`
  if (troubles.length > 0) {
    const code = troubles.every(each => hasCode(each, 'missing')) ? 'missing' : 'io'
    const cause = troubles[0]
    return new TsnetError(code, `${what} was not found: ${troubles.map(messageOf).join('; ')}`, { cause })
  }
  if (chosen.length > 0) return new TsnetError('not-running', `${what} is not running; start it first`)
  const names = all.filter((each, i) => all.findIndex(({ id }) => id === each.id) === i).map(referenceOf)
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  const hint =
    names.length === 0
      ? 'no runtime on this host has a container'
      : `there are ${names.slice(0, NAMED).join(', ')}${more}`
  return new TsnetError('unknown-container', `no container answers to ${JSON.stringify(text)}; ${hint}`)
}
