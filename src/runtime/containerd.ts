/**
 * containerd, and through it pods of Kubernetes, from the bundles of its running tasks:
 * `<state>/io.containerd.runtime.v2.task/<namespace>/<id>/{init.pid,config.json}`.
 */

import { dirname, join } from 'node:path'
import { listNames, readJson, readText } from './files.ts'
import type { Found } from './found.ts'

/** CONTAINERD_ADDRESS names the socket, which lies in the state directory. */
export const containerdState = (environment: NodeJS.ProcessEnv = process.env): string =>
  environment.CONTAINERD_ADDRESS === undefined ? '/run/containerd' : dirname(environment.CONTAINERD_ADDRESS)

export function listContainerd(state = containerdState()): Found[] {
  const tasks = join(state, 'io.containerd.runtime.v2.task')
  return listNames(tasks).flatMap(namespace =>
    listNames(join(tasks, namespace)).flatMap(id => {
      const bundle = join(tasks, namespace, id)
      const pid = Number(readText(join(bundle, 'init.pid')) ?? 0)
      const pod = podOf(readJson(join(bundle, 'config.json'))?.annotations)
      const found = { id, pid, aliases: [`${namespace}/${id}`] }
      return [
        { ...found, runtime: 'containerd' as const, name: id },
        ...(pod === undefined
          ? []
          : [
              {
                ...found,
                runtime: 'cri' as const,
                name: pod.name,
                aliases: [`${pod.namespace}/${pod.name}`],
              },
            ]),
      ]
    }),
  )
}

/** The pod that a bundle is the sandbox of, by containerd's CRI annotations. */
function podOf(annotations: unknown): { namespace: string; name: string } | undefined {
  const words = (annotations ?? {}) as Record<string, unknown>
  const name = words['io.kubernetes.cri.sandbox-name']
  if (words['io.kubernetes.cri.container-type'] !== 'sandbox' || typeof name !== 'string') return undefined
  return { namespace: String(words['io.kubernetes.cri.sandbox-namespace'] ?? 'default'), name }
}
