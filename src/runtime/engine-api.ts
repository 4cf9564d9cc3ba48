/**
 * Docker and Podman, over the API that both speak on a unix socket.
 * Source: Docker Engine API, `GET /containers/json`; Podman's compatible API.
 */

import { request } from 'node:http'
import { hasCode, TsnetError } from '../model/errors.ts'
import type { Found } from './found.ts'

export interface Engine {
  runtime: 'docker' | 'podman'
  socket: string
}

/** Where the engines listen: DOCKER_HOST and CONTAINER_HOST move them. */
export function engines(environment: NodeJS.ProcessEnv = process.env): Engine[] {
  const moved = (variable: string | undefined) => /^unix:\/\/(\/.*)$/.exec(variable ?? '')?.[1]
  return [
    { runtime: 'docker', socket: moved(environment.DOCKER_HOST) ?? '/run/docker.sock' },
    { runtime: 'podman', socket: moved(environment.CONTAINER_HOST) ?? '/run/podman/podman.sock' },
  ]
}

interface Summary {
  Id: string
  Names: string[]
  State: string
}

/** All containers of an engine; none where it does not run. @throws TsnetError `io` when it does not answer */
export async function listEngine({ runtime, socket }: Engine): Promise<Found[]> {
  const containers = (await ask(socket, '/containers/json?all=1')) as Summary[] | undefined
  return (containers ?? []).map(({ Id: id, Names: names }) => ({
    runtime,
    id,
    name: names[0]?.replace(/^\//, '') ?? id,
    aliases: names.map(name => name.replace(/^\//, '')),
  }))
}

/** The same container with its first process. */
export async function inspectEngine({ socket }: Engine, found: Found): Promise<Found> {
  const details = (await ask(socket, `/containers/${found.id}/json`)) as
    | { State: { Pid?: number } }
    | undefined
  return { ...found, pid: details?.State.Pid ?? 0 }
}

const ANSWER_WITHIN_MS = 10_000

function ask(socket: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      if (hasCode(cause, 'ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTDIR')) resolve(undefined)
      else reject(new TsnetError('io', `${socket}: ${cause.message}`, { cause }))
    }
    const asking = request({ socketPath: socket, path, timeout: ANSWER_WITHIN_MS }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      response.on('error', fail)
      response.on('end', () => {
        if (response.statusCode === 404) return resolve(undefined)
        if (response.statusCode !== 200)
          return fail(new Error(`${path} was answered with ${response.statusCode}`))
        try {
          resolve(JSON.parse(text))
        } catch (cause) {
          fail(cause as Error)
        }
      })
    })
    asking.on('timeout', () => asking.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`)))
    asking.on('error', fail)
    asking.end()
  })
}
