/**
 * Docker's door: its remote drivers for networks and addresses, as dockerd calls them over a unix socket.
 *
 *     docker network create -d tsnet …    IpamDriver.RequestPool ─▶ RequestAddress (gateway) ─▶ NetworkDriver.CreateNetwork
 *     docker run --network …              RequestAddress ─▶ CreateEndpoint ─▶ Join ─▶ ProgramExternalConnectivity
 *     … and its end                       Revoke… ─▶ Leave ─▶ DeleteEndpoint ─▶ ReleaseAddress
 *
 *     path, body ── calls.ts ──▶ plain values ──┬─ lists.ts ──────▶ networks/   a network is a list as any other
 *                                               ├─ pools.ts ──────▶ ipam/       pools and addresses
 *                                               ├─ endpoints.ts ──▶ network/    an endpoint is an attachment (handed-over/)
 *                                               └─ ports.ts ──────▶ network/    its ports
 *
 * What there is, is files: the list, the lease, the record of the attachment, under the endpoint's id. One file more says
 * which list a network of Docker's is (known.ts), on the disk, since dockerd tells it once. So nothing is lost with a daemon,
 * and a call that comes again finds what was done.
 *
 * An address is suggested when dockerd asks for it, and leased when its endpoint is made: what is in between is nobody's, so
 * whoever dies then leaves nothing. A pool is held against others only until its network is made.
 *
 * dockerd repeats nothing and forgets endpoints when it is killed. So DELETE and Leave of what nobody knows succeed; an
 * address that an endpoint of this network has, and that dockerd gives to another, was a dead one's; and the daemon takes
 * down whose container is gone (tend.ts).
 *
 * Answers are JSON, errors `{"Err": "…"}`. All that comes is checked before anything is touched.
 *
 * Limits: one subnet for each family; no swarm (scope local), no auxiliary addresses, no options of other drivers.
 */

import { messageOf, TsnetError } from '../model/errors.ts'
import { parseJson } from '../model/json/json.ts'
import { shown } from '../model/json/shown.ts'
import { calls } from './calls.ts'
import type { World } from './world.ts'

export { dockersOn, hasKnown } from './known.ts'
export { type Endpoint, endpointOf, Tender } from './tend.ts'
export type { World } from './world.ts'

export interface Reply {
  status: 200 | 404 | 500
  body: string
}

/**
 * Answers one call; whatever happens, it resolves.
 * @param path such as `/NetworkDriver.Join`
 * @param by who asks, see netns/processes.ts
 */
export async function answer(path: string, body: string, by: string, world: World): Promise<Reply> {
  const handler = calls.get(path.replace(/^\//, ''))
  if (handler === undefined) return reply(404, { Err: `tsnet does not know the call ${shown(path)}` })
  try {
    const asked = /^\s*$/.test(body) ? parseJson('{}') : parseJson(body, 'the request')
    return reply(200, await handler(asked, { ...world, by }))
  } catch (thrown) {
    const details = thrown instanceof TsnetError && thrown.details ? ` (${thrown.details})` : ''
    return reply(500, { Err: `tsnet: ${messageOf(thrown)}${details}` })
  }
}

const reply = (status: Reply['status'], value: object): Reply => ({ status, body: JSON.stringify(value) })
