/** The runtimes that may be on a host; of several names for one container that of the first counts. */

import type { Runtime } from '../../model/publication/publication.ts'
import type { Found, Source } from '../found.ts'
import { type Places, placesOf } from '../places.ts'
import { listCniCache } from './cni-cache.ts'
import { listContainerd } from './containerd.ts'
import { engine } from './engine.ts'
import { lxc } from './lxc.ts'
import { listOciStates } from './oci-state.ts'
import { podman } from './podman.ts'

/** @param attached containers that tsnet itself put on a network */
export function sourcesOf(attached: readonly Found[], places: Places = placesOf()): Source[] {
  const containerd = once(() => listContainerd(places.containerd, places.containerdRunc))
  const oci = once(() => [...listOciStates(places.runc), ...listOciStates(places.crun)])
  const only = (runtime: Runtime, list: () => Found[]): Source => ({
    runtime,
    list: () => list().filter(found => found.runtime === runtime),
  })
  return [
    engine('docker', places.dockerSocket),
    podman(places.podmanSocket, places.storage, [places.runc, places.crun]),
    lxc(places.lxc),
    only('cri', () => [...containerd(), ...oci()]),
    only('containerd', containerd),
    only('runc', oci),
    only('crun', oci),
    { runtime: 'cni', list: () => [...attached, ...listCniCache(places.cniCache)] },
  ]
}

/** Several sources read the same files, and shall see the same. */
function once<T>(work: () => T): () => T {
  let done: { value: T } | undefined
  return () => {
    done ??= { value: work() }
    return done.value
  }
}
