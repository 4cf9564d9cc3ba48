/**
 * Debian's real host-local, called as a runtime calls it, on a folder of a test.
 */

import { join } from 'node:path'
import type { HostLocal } from './leases.ts'
import { NETWORK } from './leases.ts'
import { REFERENCE } from './plugins.ts'
import { type Ended, runProgram } from './processes.ts'

const HOST_LOCAL = join(REFERENCE, 'host-local')

/** How host-local answered: addresses without their lengths, or its error's text. */
export type Answer = { ips: string[] } | { error: string }

/** Runs a command; `by` goes before it, such as `strace`. */
export async function hostLocalAnswers(
  command: 'ADD' | 'DEL' | 'CHECK',
  options: HostLocal,
  containerId: string,
  { ifname = 'eth0', args = '', by = [] as string[] } = {},
): Promise<Answer> {
  const { stdout, stderr, code } = await run(command, options, containerId, ifname, args, by)
  if (code !== 0) return { error: messageIn(stdout) ?? (stderr || `exit ${code}`) }
  const { ips = [] } = JSON.parse(stdout || '{}') as { ips?: { address: string }[] }
  return { ips: ips.map(({ address }) => address.split('/')[0] ?? '') }
}

/** As hostLocalAnswers, but an error is thrown. */
export async function hostLocalCall(...call: Parameters<typeof hostLocalAnswers>): Promise<string[]> {
  const answer = await hostLocalAnswers(...call)
  if ('error' in answer) throw new Error(answer.error)
  return answer.ips
}

function run(
  command: string,
  { dataDir, ranges }: HostLocal,
  containerId: string,
  ifname: string,
  args: string,
  by: string[],
): Promise<Ended> {
  const [program = '', ...rest] = [...by, HOST_LOCAL]
  const ipam = { type: 'host-local', dataDir, ranges }
  return runProgram(
    program,
    rest,
    JSON.stringify({
      cniVersion: '1.0.0',
      name: NETWORK,
      type: 'bridge',
      ipam,
      prevResult: { cniVersion: '1.0.0' },
    }),
    {
      PATH: process.env.PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: ifname,
      CNI_NETNS: '/run/netns/any',
      CNI_PATH: REFERENCE,
      CNI_ARGS: args,
    },
  )
}

function messageIn(stdout: string): string | undefined {
  try {
    return (JSON.parse(stdout) as { msg: string }).msg
  } catch {
    return undefined
  }
}
