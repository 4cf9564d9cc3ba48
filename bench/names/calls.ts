/** CNI calls on networks that tell names, and on one that is the same but for that. */

import { resolve } from 'node:path'
import { type Daemon, startDaemon } from '../daemon.ts'
import { measure } from '../meter/meter.ts'
import type { Step } from '../meter/plan.ts'
import { ip } from '../sandbox.ts'

/** Whom all name servers ask for names of others. */
export const UPSTREAM = '10.99.0.1'

export const ENV = { TSNET_RUN_DIR: '/run/tsnet-daemon', TSNET_DAEMON: 'on', PATH: process.env.PATH ?? '' }
const PAUSE_MS = 10

export const startOurs = (): Promise<Daemon> => startDaemon(ENV)

/** A plugin's configuration. */
export const networkOf = (n: number, names: boolean): object => ({
  cniVersion: '1.0.0',
  name: `net${n}`,
  type: 'tsnet',
  bridge: `bridge${n}`,
  isDefaultGateway: true,
  ipMasq: true,
  ...(names && { names }),
  dns: { nameservers: [UPSTREAM] },
  ipam: { type: 'host-local', ranges: [[{ subnet: `10.9${n}.0.0/16` }]] },
})

/** CHECK is given what ADD said before it in the same plan. */
export const callOf = (
  command: 'ADD' | 'CHECK' | 'DEL',
  id: string,
  netns: string,
  network: object,
): Step => ({
  run: {
    name: `${command}-${id}`,
    command: [resolve('dist/bin/tsnet')],
    env: {
      ...ENV,
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: `/run/netns/${netns}`,
      CNI_PATH: resolve('dist/bin'),
    },
    stdin:
      command === 'CHECK'
        ? [JSON.stringify(network).slice(0, -1), ',"prevResult":', { answerOf: `ADD-${id}` }, '}']
        : [JSON.stringify(network)],
  },
})

/** ADDs beside others that stay, in turn. @returns ms of each */
export function compareAdds(count: number, n: number): { on: number[]; off: number[] } {
  const kinds = (['on', 'off'] as const).map((kind, i) => {
    const network = networkOf(n + i, kind === 'on')
    for (const guest of ['stays', 'comes']) ip('netns', 'add', `${guest}${n + i}`)
    measure([{ steps: [callOf('ADD', `stays${n + i}`, `stays${n + i}`, network)] }])
    return { kind, network, guest: `comes${n + i}` }
  })
  const times = { on: [] as number[], off: [] as number[] }
  const turns = Array.from({ length: count }, (_, turn) => (turn % 2 === 0 ? kinds : kinds.toReversed()))
  measure(
    turns.flat().flatMap(({ kind, network, guest }) => [
      {
        steps: [{ pauseMs: PAUSE_MS }, callOf('ADD', guest, guest, network)],
        keep: ([figure]) => void times[kind].push(figure?.ms ?? Number.NaN),
      },
      { steps: [callOf('DEL', guest, guest, network)] },
    ]),
  )
  return times
}
