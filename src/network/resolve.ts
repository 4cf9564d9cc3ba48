/** Finds a container among all runtimes and what tsnet itself attached. */

import type { Container } from '../model/publication.ts'
import { type Found, resolveContainer } from '../runtime/runtime.ts'
import { listEntries } from './state.ts'

/** @throws TsnetError `unknown-container`, `not-running`, `invalid-environment`, `invalid-netns` */
export const resolve = (reference: string): Promise<Container> => resolveContainer(reference, attached())

function attached(): Found[] {
  return listEntries().flatMap(({ entry: { state, attachment } }) => {
    if (state !== 'attached') return []
    const { containerId: id, aliases, netns } = attachment
    return [{ runtime: 'cni' as const, id, name: aliases[0] ?? id, aliases, netnsPath: netns.path }]
  })
}
