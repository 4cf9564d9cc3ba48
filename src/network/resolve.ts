/** Finds a container among all runtimes and what tsnet itself attached. */

import type { Container } from '../model/publication.ts'
import { type Found, resolveAgain, resolveContainer } from '../runtime/runtime.ts'
import { listEntries } from './state.ts'

/** @throws TsnetError `unknown-container`, `not-running`, `io`, `missing`, `invalid-environment`, `invalid-netns` */
export const resolve = (reference: string): Promise<Container> => resolveContainer(reference, attached())

/** The same container after a restart. @throws TsnetError as `resolve` */
export const findAgain = (container: Container): Promise<Container> => resolveAgain(container, attached())

function attached(): Found[] {
  return listEntries().flatMap(({ entry: { state, attachment } }) => {
    if (state !== 'attached') return []
    const { containerId: id, aliases, netns } = attachment
    return [{ runtime: 'cni' as const, id, name: aliases[0] ?? id, aliases, netnsPath: netns.path }]
  })
}
