/** Which pod a container belongs to, by the annotations that containerd's CRI and CRI-O give it. */

export interface Pod {
  namespace: string
  name: string
  /** The sandbox's id. */
  id: string
}

export type Annotations = Record<string, unknown>

/** @param containerId of the container that is annotated */
export function podOf(annotations: Annotations, containerId: string): Pod | undefined {
  const words = (...keys: string[]) =>
    keys.map(key => annotations[key]).find(each => typeof each === 'string')
  const name = words('io.kubernetes.cri.sandbox-name', 'io.kubernetes.cri-o.KubeName')
  if (name === undefined) return undefined
  const id = words('io.kubernetes.cri.sandbox-id', 'io.kubernetes.cri-o.SandboxID')
  const namespace = words('io.kubernetes.cri.sandbox-namespace', 'io.kubernetes.cri-o.Namespace')
  return { name: String(name), namespace: String(namespace ?? 'default'), id: String(id ?? containerId) }
}
