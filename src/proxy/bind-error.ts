/** Why a port could not be opened, in words that name it. */

import { constants } from 'node:os'
import { errno, errnoName } from '../ffi/ffi.ts'
import type { HostIp } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { describeHostPorts } from '../model/port-mapping.ts'
import type { Publication } from './publication.ts'

const ESOCKTNOSUPPORT = 94 // Node does not list it

const { EADDRINUSE, EADDRNOTAVAIL, EACCES, EMFILE, ENFILE, EPROTONOSUPPORT } = constants.errno

/**
 * What went wrong when a port was opened, from errno.
 * @returns TsnetError `conflict`, `invalid-config`, `exhausted`, `missing`, `kernel`
 */
export function bindError(publication: Publication, ip: HostIp | undefined, port: number): TsnetError {
  const { protocol } = publication
  const number = errno()
  const what = describeHostPorts({ protocol, hostIp: ip, hostPort: port, count: 1 })
  if (number === EADDRINUSE) {
    return new TsnetError(
      'conflict',
      `port ${what} is already in use; choose another host port or stop its user`,
    )
  }
  if (number === EADDRNOTAVAIL) {
    return new TsnetError('invalid-config', `the address of port ${what} is not an address of this host`)
  }
  if (number === EMFILE || number === ENFILE) {
    const all = publication.count * (publication.hostIps?.length ?? 1)
    return new TsnetError(
      'exhausted',
      `port ${what} cannot be opened: ${all} sockets are needed, and no descriptor is left. ` +
        'Raise the limit on open files (ulimit -n)',
    )
  }
  if ([EPROTONOSUPPORT, ESOCKTNOSUPPORT].includes(number)) {
    return new TsnetError('missing', `port ${what}: this kernel has no ${protocol.toUpperCase()}`)
  }
  const hint = number === EACCES ? ' (ports below 1024 need CAP_NET_BIND_SERVICE)' : ''
  return new TsnetError('kernel', `port ${what} cannot be opened: ${errnoName(number)}${hint}`)
}
