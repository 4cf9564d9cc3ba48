/**
 * Docker and Podman, over the API that both speak on a unix socket.
 * Source: Docker Engine API, `GET /containers/json` and `/containers/ID/json`; Podman's compatible API.
 */

import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { hasCode, TsnetError } from '../../model/errors.ts'
import { textsIn } from '../files.ts'
import type { Found, Source } from '../found.ts'

/** A whole answer takes no longer, however slowly it drips. */
const ANSWER_WITHIN_MS = 5_000

/** In characters; ten thousand containers are some 20 MB. */
const ANSWER_MAX = 128 * 1024 * 1024

/** A running container and its ports, as the API has them. */
export interface WithPorts {
  id: string
  name: string
  ports: unknown[]
}

export interface Engine extends Source {
  /** Of running containers. @throws TsnetError as `list` */
  listPorts(): Promise<WithPorts[]>
  /** Of running containers: `NetworkSettings.Networks`, as it came. @throws TsnetError as `list` */
  listNetworks(): Promise<{ id: string; name: string; networks: unknown }[]>
  /** The same of one, with all that is said of it. @throws TsnetError as `list` */
  networksOf(id: string): Promise<unknown>
  list(end?: AbortSignal): Promise<Found[]>
  locate(found: Found): Promise<Found>
}

/** @param withinMs how long an answer may take */
export function engine(runtime: 'docker' | 'podman', socket: string, withinMs = ANSWER_WITHIN_MS): Engine {
  const get = async (path: string, end?: AbortSignal) => {
    // Most hosts have one of the two at most, and node:http takes a while to load.
    if (!existsSync(socket)) throw absent(runtime, socket)
    try {
      return await ask(socket, path, withinMs, end)
    } catch (cause) {
      throw explain(runtime, socket, path, cause)
    }
  }
  return {
    runtime,
    async list(end) {
      const containers = await get('/containers/json?all=1', end)
      if (!Array.isArray(containers)) throw misunderstood(runtime, socket)
      return containers.map(summary => foundIn(runtime, summary) ?? fail(misunderstood(runtime, socket)))
    },
    async listPorts() {
      const containers = await get('/containers/json')
      if (!Array.isArray(containers)) throw misunderstood(runtime, socket)
      return containers.flatMap(summary => {
        const found = foundIn(runtime, summary)
        const { Ports: ports } = (summary ?? {}) as { Ports?: unknown }
        return found === undefined
          ? []
          : [{ id: found.id, name: found.name, ports: Array.isArray(ports) ? ports : [] }]
      })
    },
    async listNetworks() {
      const containers = await get('/containers/json')
      if (!Array.isArray(containers)) throw misunderstood(runtime, socket)
      return containers.flatMap(summary => {
        const found = foundIn(runtime, summary)
        return found === undefined ? [] : [{ id: found.id, name: found.name, networks: networksIn(summary) }]
      })
    },
    networksOf: async id => networksIn(await get(`/containers/${id}/json`)),
    async locate(found) {
      const details = (await get(`/containers/${found.id}/json`)) as { State?: { Pid?: unknown } } | undefined
      const pid = details?.State?.Pid
      return { ...found, pid: Number.isSafeInteger(pid) && (pid as number) > 0 ? (pid as number) : 0 }
    },
  }
}

const networksIn = (container: unknown): unknown =>
  (container as { NetworkSettings?: { Networks?: unknown } } | undefined)?.NetworkSettings?.Networks

function foundIn(runtime: 'docker' | 'podman', summary: unknown): Found | undefined {
  const { Id: id, Names } = (summary ?? {}) as { Id?: unknown; Names?: unknown }
  if (typeof id !== 'string' || !/^[0-9a-f]+$/.test(id)) return undefined
  const names = textsIn(Names).map(name => name.replace(/^\//, ''))
  // Links to other containers are names too: `/other/alias`.
  const own = names.filter(name => !name.includes('/'))
  return { runtime, id, name: own[0] ?? id, aliases: names }
}

/** The JSON of an answer; undefined for "no such container". @throws Error */
function ask(socket: string, path: string, withinMs: number, end?: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(withinMs)
    const asking = request({ socketPath: socket, path, signal, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk
        if (text.length > ANSWER_MAX) asking.destroy(new Error(`its answer to ${path} has no end`))
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 404) return resolve(undefined)
        if (response.statusCode !== 200) {
          return reject(new Error(`${path} was answered with ${response.statusCode}`))
        }
        try {
          resolve(JSON.parse(text))
        } catch (cause) {
          reject(cause)
        }
      })
    })
    asking.on('error', reject)
    end?.addEventListener('abort', () => asking.destroy(), { once: true })
    asking.end()
  })
}

function explain(runtime: string, socket: string, path: string, cause: unknown): TsnetError {
  if (hasCode(cause, 'ENOENT', 'ECONNREFUSED', 'ENOTDIR')) return absent(runtime, socket, cause)
  const late = hasCode(cause, 'ABORT_ERR')
  const why = late ? `no answer to ${path} in time` : cause instanceof Error ? cause.message : String(cause)
  return new TsnetError('io', `${runtime} on ${socket}: ${why}`, { cause })
}

const absent = (runtime: string, socket: string, cause?: unknown): TsnetError =>
  new TsnetError('missing', `${runtime} does not listen on ${socket}`, { cause })

const misunderstood = (runtime: string, socket: string) =>
  new TsnetError('io', `${runtime} on ${socket}: its answer is not a list of containers`)

function fail(error: Error): never {
  throw error
}
