/**
 * From a word to a running container: `<ctr>` of every command.
 *
 *     web                   any runtime; a name, a whole id, or the beginning of one
 *     docker:web podman:web lxc:web cri:shop/web containerd:k8s.io/4f2a runc:web crun:web cni:4f2a
 *     pid:812               the process's network namespace
 *     netns:web netns:/p    a namespace by its name in /run/netns, or by path
 *
 * Every runtime that is there is asked at once. Docker's containers are containerd's and runc's as well;
 * what shares a network namespace is one container, and counts as the runtime's that people talk to. If
 * several are left, the reference is ambiguous and all of them are named. What the runtimes do not know
 * (addresses, the bridge) is read from the kernel.
 */

import { TsnetError } from '../model/errors.ts'
import type { Container, Runtime } from '../model/publication.ts'
import { type Netns, openNetns } from '../netns/netns.ts'
import { listCniCache } from './cni-cache.ts'
import { listContainerd } from './containerd.ts'
import { engines, inspectEngine, listEngine } from './engine-api.ts'
import { bestOf, type Found } from './found.ts'
import { listLxc } from './lxc.ts'
import { lookInto } from './network-view.ts'
import { listCrun, listRunc } from './oci-state.ts'
import { parseReference, type Reference } from './reference.ts'

export type { Found } from './found.ts'

/** Of several names for one container the first of these counts. */
const preference: readonly Runtime[] = ['docker', 'podman', 'lxc', 'cri', 'containerd', 'runc', 'crun', 'cni']

/**
 * Finds a running container.
 * @param attached containers that tsnet itself put on a network (runtime `cni`)
 * @throws TsnetError `unknown-container`: nobody knows it, or several answer to the name; `not-running`;
 *   `invalid-environment`: this can be no name; `invalid-netns`
 */
export async function resolveContainer(text: string, attached: Found[] = []): Promise<Container> {
  const reference = parseReference(text)
  if (reference.runtime === 'netns' || reference.runtime === 'pid') return byNamespace(reference)
  const all = await listAll(reference.runtime, attached)
  const found = await Promise.all(bestOf(all, reference.name).map(withProcess))
  if (found.length === 0) throw unknown(text, all)
  const running = found.filter(each => each.netnsPath !== undefined || (each.pid ?? 0) > 0)
  if (running.length === 0) {
    throw notRunning(text)
  }
  return pickOne(text, running)
}

/** Every container that the runtimes of this host know, running or not. */
async function listAll(only: Runtime | undefined, attached: Found[]): Promise<Found[]> {
  const [docker, podman] = engines()
  const lists: Partial<Record<Runtime, () => Found[] | Promise<Found[]>>> = {
    docker: () => (docker === undefined ? [] : listEngine(docker)),
    podman: () => (podman === undefined ? [] : listEngine(podman)),
    lxc: () => listLxc(),
    containerd: () => listContainerd().filter(found => found.runtime === 'containerd'),
    cri: () => listContainerd().filter(found => found.runtime === 'cri'),
    runc: () => listRunc(),
    crun: () => listCrun(),
    cni: () => [...attached, ...listCniCache()],
  }
  const asked = preference.filter(runtime => only === undefined || runtime === only)
  return (await Promise.all(asked.map(runtime => lists[runtime]?.() ?? []))).flat()
}

async function withProcess(found: Found): Promise<Found> {
  const engine = engines().find(each => each.runtime === found.runtime)
  return engine === undefined ? found : inspectEngine(engine, found)
}

function pickOne(text: string, found: Found[]): Container {
  const containers = new Map<string, Container>()
  for (const each of found.toSorted((a, b) => rank(a) - rank(b))) {
    const container = describe(each)
    const key = `${container.netns.dev}:${container.netns.ino}`
    if (!containers.has(key)) containers.set(key, container)
  }
  const [only, ...others] = containers.values()
  if (only === undefined) throw notRunning(text)
  if (others.length > 0) {
    const names = [only, ...others].map(each => `${each.runtime}:${each.name} (${each.id.slice(0, 12)})`)
    throw new TsnetError(
      'unknown-container',
      `container ${text} could be any of ${names.join(', ')}; name one of these`,
    )
  }
  return only
}

const rank = (found: Found): number => preference.indexOf(found.runtime)

function describe(found: Found): Container {
  using netns = openNetns(found.netnsPath ?? `/proc/${found.pid}/ns/net`)
  return {
    runtime: found.runtime,
    id: found.id,
    name: found.name,
    reference: `${found.runtime}:${found.name}`,
    ...(found.pid !== undefined && found.pid > 0 && { pid: found.pid }),
    ...seen(netns),
  }
}

function byNamespace({ runtime, name }: Reference): Container {
  const path = runtime === 'pid' ? `/proc/${name}/ns/net` : name.startsWith('/') ? name : `/run/netns/${name}`
  using netns = openNetns(path)
  return {
    runtime: runtime === 'pid' ? 'pid' : 'netns',
    id: runtime === 'pid' ? name : path,
    name,
    reference: `${runtime}:${name}`,
    ...(runtime === 'pid' && { pid: Number(name) }),
    ...seen(netns),
  }
}

const seen = (netns: Netns) => ({ netns: { path: netns.path, ...netns.id }, ...lookInto(netns) })

const notRunning = (text: string): TsnetError =>
  new TsnetError('not-running', `container ${text} is not running; start it first`)

/** Says what there is instead, as far as it fits in a line. */
function unknown(text: string, all: Found[]): TsnetError {
  const names = [...new Set(all.map(each => each.name))].slice(0, 10)
  const hint =
    names.length === 0 ? 'no runtime on this host has a container' : `there are ${names.join(', ')}`
  return new TsnetError('unknown-container', `no container answers to ${JSON.stringify(text)}; ${hint}`)
}
