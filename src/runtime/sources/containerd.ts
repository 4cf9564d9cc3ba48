/**
 * containerd, and through it pods of Kubernetes, from the bundles of its running tasks:
 * `STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/{init.pid,config.json}`. A container without a task has
 * none and is not found. nerdctl leaves the name that it gave in the annotations.
 */

import { join } from 'node:path'
import { listNames, readText } from '../files.ts'
import type { Found } from '../found.ts'
import { annotationsIn, podFound, readOciState } from './oci-state.ts'
import { livingPid } from './process.ts'

const TASKS = 'io.containerd.runtime.v2.task'

/** The namespaces that containers are in, or were. */
export const listNamespaces = (states: readonly string[]): string[] =>
  states.flatMap(state => listNames(join(state, TASKS)))

/** @param runcRoot where the runtimes that containerd calls keep their state */
export function listContainerd(states: readonly string[], runcRoot: string): Found[] {
  const tasks = states.map(state => join(state, TASKS))
  return tasks.flatMap(folder =>
    listNames(folder).flatMap(namespace =>
      listNames(join(folder, namespace)).flatMap(id => {
        const bundle = join(folder, namespace, id)
        const annotations = annotationsIn(bundle)
        const name = annotations['nerdctl/name']
        const pid =
          readOciState(join(runcRoot, namespace), id)?.pid ??
          livingPid(Number(readText(join(bundle, 'init.pid'))))
        return [
          {
            runtime: 'containerd' as const,
            id,
            name: typeof name === 'string' ? name : id,
            scope: namespace,
            pid,
          },
          ...podFound(annotations, id, pid),
        ]
      }),
    ),
  )
}
