/**
 * Where containers try to reach what they may not.
 *
 *     client .2 .3 ──── lan0 host ── br-box ──┬ boxed   has the list
 *     203.0.113.7                │            └ mate    its neighbour, that may reach everybody
 *     169.254.169.254            └─── br-free ── free   a control: on a network without a list
 *
 * Everybody answers at ports 80 and 81 of TCP, and at 80 and 92 of UDP; free is published at 8080.
 */

import type { Namespace } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import type { Result } from './libcni.ts'
import { addressOf, type Plugin } from './plugin.ts'
import { ANSWERS, CLIENT, HOST, Scene } from './scene.ts'

export const ALSO = { 4: '192.168.50.3', 6: 'fd50::3' } as const
export const FAR = { 4: '203.0.113.7', 6: '2001:db8:113::7' } as const
export const METADATA = { 4: '169.254.169.254', 6: 'fd00:ec2::254' } as const
/** Of boxed and mate. */
const GATEWAY = { 4: '10.1.0.1', 6: 'fd1::1' } as const
export const PUBLISHED = 8080

export const ALLOW = [
  `${CLIENT[4]}:${ANSWERS}`,
  `[${CLIENT[6]}]:${ANSWERS}/tcp`,
  ALSO[4],
  ALSO[6],
  '203.0.113.0/24:90-95/udp',
  '[2001:db8:113::/48]:90-95/udp',
  'host:81',
  '10.1.0.0/16:81',
  '[fd1::/64]:81',
  // Wide, and yet not metadata.
  '160.0.0.0/4:80',
  '[fd00:ec2::/24]:80',
]

export interface ReachSite {
  scene: Scene
  box: Plugin
  free: Plugin
  results: Record<'boxed' | 'mate' | 'free', Result>
}

export const EVERYBODY = ['0.0.0.0/0', '::/0', '169.254.0.0/16', 'fd00:ec2::/32', 'host']

export async function openReachSite(
  backend: NatBackend,
  allow: readonly string[] = ALLOW,
): Promise<ReachSite> {
  const scene = await Scene.open(backend, 'boxed', 'mate', 'free')
  const { host, client } = scene
  client.address('eth0', `${ALSO[4]}/24`, `${ALSO[6]}/64`)
  for (const family of [4, 6] as const) {
    const length = family === 4 ? 32 : 128
    for (const each of [FAR[family], METADATA[family]]) {
      client.address('lo', `${each}/${length}`)
      host.route(`${each}/${length}`, CLIENT[family])
    }
  }
  for (const place of [client, host, ...host.namespaces]) place.listen('tcp', 81)
  for (const place of [client, host]) place.listen('tcp', 53)
  host.listen('tcp', ANSWERS)
  // By its own socket each, or the answer would come from another address.
  for (const family of [4, 6] as const) {
    for (const port of [53, ANSWERS]) client.listen('udp', port, CLIENT[family])
    client.listen('udp', ANSWERS, ALSO[family])
    for (const port of [ANSWERS, 92]) client.listen('udp', port, FAR[family])
    host.listen('udp', ANSWERS, HOST[family])
  }
  await scene.remember()
  const box = scene.network('box', 1, { egress: { allow } })
  const free = scene.network('free', 2)
  const results = {
    boxed: await box.add(scene.get('boxed'), { ports: [{ hostPort: 8090, containerPort: ANSWERS }] }),
    mate: await box.add(scene.get('mate'), { config: { runtimeConfig: { egress: EVERYBODY } } }),
    free: await free.add(scene.get('free'), { ports: [{ hostPort: PUBLISHED, containerPort: ANSWERS }] }),
  }
  for (const gateway of Object.values(GATEWAY)) host.listen('udp', 53, gateway)
  return { scene, box, free, results }
}

/** One attempt of a container. */
export interface Attempt {
  what: string
  isAllowed: boolean
  /** @param patienceS how long an answer is waited for */
  try: (from: Namespace, patienceS?: number) => Promise<boolean>
}

const PATIENCE_S = 10
/** Of who expects no answer. */
const IMPATIENCE_S = 2

const asks =
  (transport: 'tcp' | 'udp', to: string, port: number, text = 'hello') =>
  (from: Namespace, patienceS = PATIENCE_S): Promise<boolean> =>
    from.ask(transport, to, port, { text, withinMs: 1000 * patienceS }).then(
      () => true,
      () => false,
    )

const pings =
  (to: string) =>
  async (from: Namespace, patienceS = PATIENCE_S): Promise<boolean> => {
    const { code } = await from.run('ping', '-c', '1', '-W', `${patienceS}`, to, { mayFail: true })
    return code === 0
  }

/** More than one frame. */
const LONG = 'x'.repeat(4000)

/** What a container with the list tries; one without a list does all of it, where its own network has the same. */
export function attemptsAt({ results }: ReachSite): Attempt[] {
  const to = (who: keyof ReachSite['results'], family: 4 | 6) => addressOf(results[who], family)
  return ([4, 6] as const).flatMap(family => {
    const v = `IPv${family}`
    const gateway = GATEWAY[family]
    const yes = (what: string, attempt: Attempt['try']) => ({
      what: `${v}: ${what}`,
      isAllowed: true,
      try: attempt,
    })
    const no = (what: string, attempt: Attempt['try']) => ({
      what: `${v}: ${what}`,
      isAllowed: false,
      try: attempt,
    })
    return [
      yes('TCP to an address and port of the list', asks('tcp', CLIENT[family], ANSWERS)),
      no('TCP to another port of that address', asks('tcp', CLIENT[family], 81)),
      no('UDP to the port that is allowed over TCP', asks('udp', CLIENT[family], ANSWERS)),
      no('an echo of that address', pings(CLIENT[family])),
      yes('TCP to an address that is allowed as a whole', asks('tcp', ALSO[family], 81)),
      yes('UDP to it', asks('udp', ALSO[family], ANSWERS)),
      yes('its echo', pings(ALSO[family])),
      yes('a datagram in several fragments to it', asks('udp', ALSO[family], ANSWERS, LONG)),
      no('a datagram in several fragments to another', asks('udp', CLIENT[family], ANSWERS, LONG)),
      yes('UDP within a range of addresses and ports', asks('udp', FAR[family], 92)),
      no('TCP at the same', asks('tcp', FAR[family], ANSWERS)),
      no('UDP at another port of the same', asks('udp', FAR[family], ANSWERS)),
      no("the cloud's metadata, which a wide entry covers", asks('tcp', METADATA[family], ANSWERS)),
      no('DNS of somebody else', asks('udp', CLIENT[family], 53)),
      no('DNS of somebody else over TCP', asks('tcp', CLIENT[family], 53)),
      yes('a port of the host', asks('tcp', HOST[family], 81)),
      no('another port of the host', asks('tcp', HOST[family], ANSWERS)),
      no('UDP to the host', asks('udp', HOST[family], ANSWERS)),
      yes('that port by the gateway', asks('tcp', gateway, 81)),
      no('another port by the gateway', asks('tcp', gateway, ANSWERS)),
      no('DNS at the gateway', asks('udp', gateway, 53)),
      no('an echo of the gateway', pings(gateway)),
      no("what is published of another's at the host", asks('tcp', HOST[family], PUBLISHED)),
      no('what is published of itself at the host', asks('tcp', HOST[family], 8090)),
      yes('a port of a neighbour', asks('tcp', to('mate', family), 81)),
      no('another port of a neighbour', asks('tcp', to('mate', family), ANSWERS)),
      no('UDP to a neighbour', asks('udp', to('mate', family), ANSWERS)),
      no('an echo of a neighbour', pings(to('mate', family))),
    ]
  })
}

/** What of the attempts went otherwise than the list says, in words. */
export async function surprises(from: Namespace, attempts: readonly Attempt[]): Promise<string[]> {
  const found: string[] = []
  for (const each of attempts.filter(({ isAllowed }) => isAllowed))
    if (!(await each.try(from))) found.push(`${each.what}: no answer`)
  const denied = attempts.filter(({ isAllowed }) => !isAllowed)
  const answered = await Promise.all(denied.map(each => each.try(from, IMPATIENCE_S)))
  return [...found, ...denied.flatMap(({ what }, i) => (answered[i] ? [`${what}: answered`] : []))]
}
