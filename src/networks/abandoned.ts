/**
 * Networks that were made for another engine, which has let go of its own since: podman tells nobody when a network is
 * removed, its file is gone. So that is looked at, in the folders of podman's configuration.
 *
 * A mistake costs little: a network is left alone while anybody lives on it, and one that its engine still has is made
 * anew with the next container (netavark/).
 *
 * Limits: of a podman that is told of another folder by an option or its environment alone, whoever looks has to have
 * the same.
 */

import { netavarkNetworks, networkFolders } from '../runtime/network-folders.ts'
import { isAlive, listKnown } from './known.ts'
import type { MadeFor } from './list.ts'
import { listInfos } from './look.ts'
import type { Host } from './places.ts'
import { listBehind } from './taken.ts'

/** Between our answer and its file, the engine may take a while. */
const UNTIL_WRITTEN_MS = 60_000

/** @param had ids of networks that podman is known to have had @param now milliseconds since 1970 */
export function findAbandoned(
  host: Host,
  had: ReadonlySet<string> = new Set(),
  now = Date.now(),
): ReturnType<typeof listInfos> {
  const suspects = listInfos(host).filter(
    ({ created = '', madeFor }) =>
      madeFor?.runtime === 'podman' && (had.has(madeFor.id) || now - Date.parse(created) > UNTIL_WRITTEN_MS),
  )
  if (suspects.length === 0) return []
  const living = listKnown(host).filter(
    each => suspects.some(({ name }) => name === each.network) && isAlive(each),
  )
  const busy = new Set(living.map(({ network }) => network))
  return suspects.filter(({ name, madeFor }) => !busy.has(name) && !isKept(madeFor, host))
}

/** Whether the engine for which a network was made has it still. Of one that tells us when it is removed, until then. */
export const isKept = (madeFor: MadeFor | undefined, { env }: Pick<Host, 'env'>): boolean =>
  madeFor !== undefined &&
  (madeFor.runtime !== 'podman' ||
    networkFolders(env)
      .flatMap(netavarkNetworks)
      .some(({ id }) => id === madeFor.id))

/** What podman calls its networks that stand on a list: made for them, or joined. Of Docker's libnetwork/ knows. */
export const podmansOn = (list: string, { env }: Pick<Host, 'env'>): string[] =>
  networkFolders(env)
    .flatMap(netavarkNetworks)
    .filter(each => listBehind(each) === list)
    .map(({ name }) => name)
