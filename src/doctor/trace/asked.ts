/** What a command line asks for, completed by what is published. */

import { tryParseIp } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import type { PortMapping } from '../../model/port-mapping.ts'
import { listPublications } from '../../records/publications.ts'
import { listEntries } from '../../records/records.ts'
import { tryParsePort } from '../subject.ts'
import type { Asked } from './packet.ts'

/**
 * @param word `8080`, `8080/udp`; without a protocol that of what is published there, else TCP
 * @throws TsnetError `invalid-environment`
 */
export function askedOf(word: string, from: string | undefined): Asked {
  const port = tryParsePort(word)
  if (port === undefined)
    throw new TsnetError(
      'invalid-environment',
      `${shown(word)} is no port of this host, such as 8080 or 53/udp`,
    )
  const ip = from === undefined ? undefined : tryParseIp(from)
  if (from !== undefined && ip === undefined)
    throw new TsnetError('invalid-environment', `--from: ${shown(from)} is not an IP address`)
  const published: Pick<PortMapping, 'protocol' | 'hostIp' | 'hostPort' | 'count'>[] = [
    ...listPublications().filter(({ reverse }) => !reverse),
    ...listEntries().flatMap(({ entry }) => entry.attachment.ports),
  ]
  const found = published.find(
    ({ hostPort, count, protocol }) =>
      port.port >= hostPort && port.port < hostPort + count && protocol === (port.protocol ?? protocol),
  )
  return {
    port: port.port,
    protocol: port.protocol ?? found?.protocol ?? 'tcp',
    ...(found?.hostIp !== undefined && { hostIp: found.hostIp }),
    ...(ip !== undefined && { from: ip }),
  }
}
