/**
 * What a request would publish, as far as that is known without doing it: whether a port is free is asked now, and may be
 * otherwise in the next moment; whether rules can lead there shows when they are made.
 */

import type { PortSpec } from '../model/publication/port-spec.ts'
import type { Publication, PublishRequest } from '../model/publication/publication.ts'
import { requireFree } from '../ports/ports.ts'
import { draftsOf, findSame, type Led } from './draft.ts'
import { hostPortChoices } from './host-ports.ts'
import { requireLastingNames } from './lasting-names.ts'
import { specsOf } from './listening.ts'
import { portsOf } from './plan.ts'
import { resolve } from './resolve.ts'
import { requireFreeWithin } from './reverse/reverse.ts'
import { ledBy } from './service/service.ts'

/** @throws TsnetError as publish, as far as it is known before */
export async function foresee(
  request: PublishRequest,
  published: readonly Publication[],
  warn: (line: string) => void,
): Promise<Publication[]> {
  const led = await whoIsMeant(request, warn)
  if (request.keep) requireLastingNames(led)
  const drafts: Publication[] = []
  for (const [i, spec] of specsOf(request, led.containers).entries()) {
    for (const draft of draftsOf(request, led, spec, request.written[i])) {
      const isReplaced = request.replace && findSame(published, draft) !== undefined
      drafts.push({ ...draft, hostPort: isReplaced ? draft.hostPort : await freePort(spec, draft) })
    }
  }
  return drafts
}

/** Who is called as a service is shows when it is published. */
async function whoIsMeant(
  { service, containers }: PublishRequest,
  warn: (line: string) => void,
): Promise<Led> {
  if (service !== undefined) return ledBy(() => ({ here: [], away: [], drained: 0 }), service)
  return { containers: await Promise.all(containers.map(each => resolve(each, warn))) }
}

/** The first of the choices that is free; 0 where any would do. */
async function freePort(spec: PortSpec, draft: Publication): Promise<number> {
  if (draft.reverse) requireFreeWithin(draft)
  if (draft.reverse) return draft.hostPort
  if (spec.host === undefined) return 0
  let refusal: unknown
  for (const hostPort of hostPortChoices(spec)) {
    try {
      await requireFree([portsOf({ ...draft, hostPort })])
      return hostPort
    } catch (thrown) {
      refusal = thrown
    }
  }
  throw refusal
}
