/**
 * The reference plugins and our drop-ins, called alike, and their answers in a form that can be compared.
 */

import { resolve } from 'node:path'
import { REFERENCE } from './plugins.ts'
import { runProgram } from './processes.ts'

/** Whose plugins: folders as CNI_PATH has them. */
export const folders = { reference: REFERENCE, tsnet: resolve('dist/drop-in') } as const

export type Whose = keyof typeof folders

export interface DropInCall {
  plugin: string
  command: string
  config: object
  containerId?: string
  ifname?: string
  netns?: string
  args?: string
  env?: Record<string, string>
}

export interface DropInAnswer {
  code: number | null
  /** What stands on stdout; without an empty `dns`, which plugins before 1.2 print. */
  result?: Record<string, unknown>
  /** The words of an error. Codes are not compared: most of the reference's are 999. */
  error?: string
}

/** The environment of a call. */
export const environmentOf = (whose: Whose, call: DropInCall): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  CNI_COMMAND: call.command,
  CNI_CONTAINERID: call.containerId ?? 'web',
  CNI_IFNAME: call.ifname ?? 'eth0',
  CNI_NETNS: call.netns ?? '/run/netns/nowhere',
  CNI_PATH: folders[whose],
  CNI_ARGS: call.args ?? '',
  ...call.env,
})

export function readAnswer({ code, stdout }: { code: number | null; stdout: string }): DropInAnswer {
  if (stdout.trim() === '') return { code }
  const printed = JSON.parse(stdout) as Record<string, unknown> & { dns?: object; msg?: string }
  if (code !== 0) return { code, error: printed.msg ?? stdout }
  const { dns, ...rest } = printed
  return { code, result: dns === undefined || Object.keys(dns).length === 0 ? rest : { ...rest, dns } }
}

/** Calls a plugin in the namespaces of this process: one that needs no kernel. */
export async function callDropIn(whose: Whose, call: DropInCall): Promise<DropInAnswer> {
  const program = `${folders[whose]}/${call.plugin}`
  return readAnswer(await runProgram(program, [], JSON.stringify(call.config), environmentOf(whose, call)))
}
