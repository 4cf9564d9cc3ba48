/** One plugin of a list is asked: in this process where it is ours, else by exec. */

import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { answer } from '../cni/cni.ts'
import { operationsIn } from '../cni/operations.ts'
import { roles } from '../cni/roles/roles.ts'
import { execPlugin } from '../ipam/exec-plugin.ts'
import { TsnetError } from '../model/errors.ts'
import { tellChange } from '../model/surroundings.ts'
import { command } from '../netlink/command.ts'
import type { Host } from '../networks/places.ts'

export interface Question {
  type: string
  /** CNI_COMMAND and what goes with it. */
  env: { CNI_COMMAND: string; [name: string]: string }
  config: Record<string, unknown>
}

/** As it would be typed. */
export const textOf = ({ type, env, config }: Question): string =>
  command('env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), type).concat(
    ` <<<${command('', JSON.stringify(config)).trim()}`,
  )

/** @returns what the plugin printed @throws TsnetError `delegate` with the plugin's own code; `missing` */
export async function invoke(question: Question, host: Host): Promise<string> {
  const { type, env, config } = question
  tellChange(() => textOf(question))
  if (!isOurs(type, host.path)) {
    return execPlugin({ plugin: type, path: host.path, env, config, key: 'type' })
  }
  const { stdout, exitCode } = await answer({
    env: { ...host.env, ...env },
    calledAs: type,
    readStdin: () => JSON.stringify(config),
    operations: host.operations ?? (() => operationsIn(host.env)),
  })
  if (exitCode === 0) return stdout
  const { msg, code, details } = JSON.parse(stdout) as { msg: string; code: number; details?: string }
  throw new TsnetError('delegate', msg, { pluginCode: code, ...(details !== undefined && { details }) })
}

/** What a runtime would run under that name is this executable; or there is nothing, and we know the name. */
function isOurs(type: string, path: readonly string[]): boolean {
  if (!roles.some(role => role === type)) return false
  const found = path.map(folder => join(folder, type)).find(file => existsSync(file))
  return found === undefined || folderOf(found) === folderOf(process.argv[1] ?? '')
}

function folderOf(file: string): string | undefined {
  try {
    return dirname(realpathSync(file))
  } catch {
    return undefined
  }
}
