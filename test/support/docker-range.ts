/** What `docker run` with many published ports takes: time, and memory of all that serves them. */

import type { Dockerd } from './dockerd.ts'
import { memoryOf } from './memory.ts'

export interface RangeCost {
  /** From the command to its end. */
  seconds: number
  /** Of all processes that serve ports, docker-proxies and our daemon: pages that are no file's. */
  ownMb: number
  pssMb: number
  rssMb: number
  processes: number
}

/** Starts a container that does nothing, with `count` TCP ports from 9000 on. @throws CommandError */
export async function runWithRange(docker: Dockerd, name: string, count: number): Promise<RangeCost> {
  const ports = `9000-${9000 + count - 1}:9000-${9000 + count - 1}`
  const began = performance.now()
  await docker.idle(name, '-p', ports)
  const seconds = (performance.now() - began) / 1000
  const taken = servers(docker).map(({ pid }) => memoryOf(docker.host.path(`/proc/${pid}`)))
  const sum = (kilobytes: number[]) => kilobytes.reduce((all, each) => all + each, 0) / 1024
  return {
    seconds,
    ownMb: sum(taken.map(({ anonymousKb }) => anonymousKb)),
    pssMb: sum(taken.map(({ pssKb }) => pssKb)),
    rssMb: sum(taken.map(({ rssKb }) => rssKb)),
    processes: taken.length,
  }
}

/** Processes that serve published ports. */
export const servers = ({ host }: Dockerd) =>
  host.processes().filter(({ command }) => / -container-port | daemon --idle/.test(command))
