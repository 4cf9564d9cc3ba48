/** What others took of ours (network/reconcile/), and records that could not be understood. */

import { listNames, runDirectory } from '../../records/run-directory.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'

export const ours: Check<Patient> = {
  name: 'ours',
  about: 'rules, guards, bridges, limits and settings are as they were made',
  look: ({ lacking }) =>
    lacking.map(({ subject, what, why, outcome, network, name, ifname }): Found => {
      const on = name === undefined ? subject : `${name} (${network} ${ifname})`
      const found = { on, what, why: consequence(subject) }
      if (outcome === 'kept') return { ...found, cure: why ?? 'attach the container anew' }
      return { ...found, cure: 'tsnet reconcile', fix: { do: 'reconcile' } }
    }),
}

/** What becomes of packets where a part lacks something. */
function consequence(subject: string): string {
  const [kind = ''] = subject.split(' ')
  return CONSEQUENCES[kind] ?? 'containers are not reached, or reach nobody'
}

const CONSEQUENCES: Record<string, string> = {
  rules:
    'packets of containers and to published ports are not led, let through or kept out as they should be',
  spoof: 'the container can speak under addresses of others',
  limits: 'the container receives or sends faster than it may',
  forwarding: 'the host passes nothing on to containers',
  route_localnet: 'clients on 127.0.0.1 hang',
  rp_filter: 'answers of containers on several networks are dropped',
}

export const records: Check<Patient> = {
  name: 'records',
  about: 'what is written down of this host can be understood',
  look: ({ subject }) => {
    const damaged = subject.kind === 'host' ? listNames('damaged') : []
    if (damaged.length === 0) return []
    return [
      {
        on: 'this host',
        what: `${damaged.length === 1 ? 'a file' : `${damaged.length} files`} of ours could not be understood, such as ${damaged[0]}`,
        why: 'what it told of is not looked after any more',
        cure: `look at what is in ${runDirectory()}/damaged, and remove it; have runtimes collect what is left of their containers`,
      },
    ]
  },
}
