/** Containers that are found again by what they are called, also after a reboot. */

import { TsnetError } from '../model/errors.ts'
import { LONG_ID, shortName } from '../model/publication/container-name.ts'
import { type Container, calledOf } from '../model/publication/publication.ts'
import type { Led } from './draft.ts'

/** @throws TsnetError `invalid-environment` for one whose name goes with it */
export function requireLastingNames({ containers, service }: Led): void {
  if (service !== undefined) return
  for (const container of containers) {
    const why = reasonOf(container)
    if (why === undefined) continue
    throw new TsnetError(
      'invalid-environment',
      `--keep: ${calledOf(container)} cannot be found again: ${why}; name a container by what it will be called, or publish without --keep`,
    )
  }
}

/** Namespaces of processes go with them, and those of runtimes get another random name each time. */
const PASSING = /^\/proc\/|\/(cni-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}$|\/[0-9a-f]{12,}$/

function reasonOf({ runtime, name, id }: Container): string | undefined {
  if (runtime === 'pid') return 'after a reboot the number is another process’s'
  if (runtime === 'netns' && PASSING.test(id)) return 'its namespace has another path the next time'
  if (LONG_ID.test(name)) return `it has no name, and the next one is not ${shortName(name)}`
  return undefined
}
