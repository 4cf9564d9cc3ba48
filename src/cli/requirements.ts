/**
 * What the demo needs of this machine beside Node, and how to get it.
 */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { cleanEnvironment } from '../lab/command.ts'
import { TsnetError } from '../model/errors.ts'

/** Commands that make the sandbox, and the package they come with everywhere. */
const COMMANDS: Record<string, string> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'util-linux',
  umount: 'util-linux',
  sh: 'dash',
  cat: 'coreutils',
  mkdir: 'coreutils',
}

const INSTALLERS: Record<string, string> = {
  'apt-get': 'apt-get install',
  dnf: 'dnf install',
  apk: 'apk add',
  pacman: 'pacman -S',
  zypper: 'zypper install',
}

/** @throws TsnetError `missing`: not root, or a command is not there */
export function checkRequirements(path = cleanEnvironment().PATH ?? ''): void {
  if (process.getuid?.() !== 0) {
    throw new TsnetError('missing', 'the demo makes network namespaces, which needs root: run it with sudo')
  }
  const missing = missingCommands(path)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(command => COMMANDS[command] ?? command))]
  throw new TsnetError(
    'missing',
    `the demo makes its sandbox with ${missing.join(', ')}: not found in PATH`,
    {
      details: installHint(packages, path),
    },
  )
}

/** Those of the commands that PATH does not have. */
export const missingCommands = (path: string): string[] =>
  Object.keys(COMMANDS).filter(command => !isInstalled(command, path))

/** `apt-get install util-linux`, by whichever package manager is there. */
export function installHint(packages: readonly string[], path = cleanEnvironment().PATH ?? ''): string {
  const [, install] = Object.entries(INSTALLERS).find(([name]) => isInstalled(name, path)) ?? []
  return install === undefined
    ? `Install the packages: ${packages.join(', ')}`
    : `Try: ${install} ${packages.join(' ')}`
}

export function isInstalled(command: string, path = cleanEnvironment().PATH ?? ''): boolean {
  return path.split(delimiter).some(folder => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
