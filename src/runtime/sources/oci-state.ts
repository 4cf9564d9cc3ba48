/**
 * runc and crun, from their state files: `/run/runc/ID/state.json`, `/run/crun/ID/status`. They are there
 * while the container is, and name its first process, when that started, and the container's annotations.
 * CRI-O's pods are found here as well: it starts them through one of the two and keeps no other list.
 */

import { join } from 'node:path'
import { asNumber, listNames, readJson, textsIn } from '../files.ts'
import type { Found } from '../found.ts'
import { type Annotations, podOf } from './pod.ts'
import { livingPid } from './process.ts'

export interface OciState {
  runtime: 'runc' | 'crun'
  id: string
  /** 0: it ended. */
  pid: number
  annotations: Annotations
}

/** The state of a container below either's folder. */
export function readOciState(root: string, id: string): OciState | undefined {
  return readRunc(root, id) ?? readCrun(root, id)
}

function readRunc(root: string, id: string): OciState | undefined {
  const state = readJson(join(root, id, 'state.json'))
  if (state === undefined) return undefined
  const { init_process_pid: pid, init_process_start: start, config } = state
  const { labels } = (config ?? {}) as { labels?: unknown }
  const pairs = textsIn(labels).map(label => {
    const [key = '', ...value] = label.split('=')
    return [key, value.join('=')]
  })
  return {
    runtime: 'runc',
    id,
    pid: livingPid(asNumber(pid), asNumber(start)),
    annotations: Object.fromEntries(pairs),
  }
}

function readCrun(root: string, id: string): OciState | undefined {
  const status = readJson(join(root, id, 'status'))
  if (status === undefined) return undefined
  const { pid, 'process-start-time': start, bundle } = status
  return {
    runtime: 'crun',
    id,
    pid: livingPid(asNumber(pid), asNumber(start)),
    annotations: typeof bundle === 'string' ? annotationsIn(bundle) : {},
  }
}

/** Of a bundle, as its config.json has them. */
export function annotationsIn(bundle: string): Annotations {
  const annotations = readJson(join(bundle, 'config.json'))?.annotations
  return typeof annotations === 'object' && annotations !== null ? (annotations as Annotations) : {}
}

export function listOciStates(root: string): Found[] {
  return listNames(root).flatMap(name => {
    const state = readOciState(root, name)
    if (state === undefined) return []
    const { runtime, id, pid, annotations } = state
    return [{ runtime, id, name: id, pid }, ...podFound(annotations, id, pid)]
  })
}

/** The pod that a container is in, as something to be found itself. */
export function podFound(annotations: Annotations, containerId: string, pid: number): Found[] {
  const pod = podOf(annotations, containerId)
  return pod === undefined ? [] : [{ runtime: 'cri', id: pod.id, name: pod.name, scope: pod.namespace, pid }]
}
