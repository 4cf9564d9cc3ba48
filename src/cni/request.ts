/** What a call says in its environment. */

import { TsnetError } from '../model/errors.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import { shown } from '../model/json/shown.ts'
import type { Command } from '../runtime/cni-versions.ts'
import { checkContainerId } from './config/names.ts'

/** Names are checked, the rest is as it came; what the command does not need is an empty string. */
export interface Call {
  command: Command
  containerId: string
  netns: string
  ifname: string
  args: string
  /** CNI_PATH, without empty entries. */
  path: string[]
  /** CNI_NETNS_OVERRIDE: the container may be in our own namespace. */
  allowOwnNetns: boolean
}

export type Environment = Record<string, string | undefined>

const needs: Record<Command, string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  // The namespace may be gone with the container.
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
  VERSION: [],
}

const isCommand = (text: string): text is Command => Object.hasOwn(needs, text)

/**
 * Reads and checks the environment. CNI_PATH is asked for where a plugin is to be found, not before.
 * @throws TsnetError `invalid-environment`
 */
export function readCall(env: Environment): Call {
  const command = env.CNI_COMMAND ?? ''
  if (!isCommand(command)) {
    throw new TsnetError('invalid-environment', `unknown CNI_COMMAND: ${command.slice(0, 80)}`)
  }
  const missing = needs[command].filter(name => !env[name])
  if (missing.length > 0) {
    throw new TsnetError('invalid-environment', `required env variables [${missing.join(',')}] missing`)
  }
  const perContainer = needs[command].length > 0
  return {
    command,
    containerId: perContainer ? checkContainerId(env.CNI_CONTAINERID ?? '') : '',
    ifname: perContainer ? checkIfname(env.CNI_IFNAME ?? '') : '',
    netns: perContainer ? checkNetns(env.CNI_NETNS ?? '', command) : '',
    args: env.CNI_ARGS ?? '',
    path: (env.CNI_PATH ?? '').split(':').filter(folder => folder !== ''),
    allowOwnNetns: /^(1|true)$/i.test(env.CNI_NETNS_OVERRIDE ?? ''),
  }
}

// Runtimes call the plugin loopback for `lo`. What other plugins make of it, checkInterface says.
const checkIfname = (name: string): string => (name === LOOPBACK ? name : parseIfname(name))

const parseIfname = (name: string): string => parseInterfaceName(name, 'CNI_IFNAME', 'invalid-environment')

const LOOPBACK = 'lo'

/** The interface of every namespace is nobody's to make, shape or remove. @throws TsnetError `invalid-environment` */
export function checkInterface({ ifname }: Call, role: string): void {
  if (ifname === LOOPBACK && role !== 'loopback') parseIfname(ifname)
}

// A relative path depends on a working directory that nobody chose. What DEL is given need not exist, so
// there is nothing to complain about either.
function checkNetns(path: string, command: Command): string {
  if (command === 'DEL' || path.startsWith('/')) return path
  throw new TsnetError('invalid-environment', `CNI_NETNS: ${shown(path)} is not an absolute path`)
}
