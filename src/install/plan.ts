/** What to install, from what was asked for and what this host is: a pure function. */

import { isAbsolute, join } from 'node:path'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import type { CommandText } from './command-text.ts'
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts'
import { fileItem, type Item, sampleItem } from './items.ts'
import { manPages } from './man.ts'

export type { CommandText, Place } from './command-text.ts'

export interface Wishes {
  /** Where runtimes look for plugins. */
  binDir: string
  /** Where else they look for ours alone. */
  moreBinDirs: readonly string[]
  /** Where podman looks for drivers of networks. */
  driverDir: string
  /** Where they look for network lists. */
  confDir: string
  /** Where the command, its manual and its completions go. */
  prefix: string
  /** Names of other plugins to be, or `all`. */
  as: string
  /** dockerd's settings; absent: they are left alone. */
  dockerConfig?: string
}

export interface Facts {
  /** Path of tsnet. */
  executable: string
  version: string
  /** Every name that can be played. */
  roles: readonly string[]
  commands: readonly CommandText[]
  /** A network list, as JSON; absent: there is one like it under another name. */
  conflist?: string
}

/** Where dockerd looks for what it does not find in /run/docker/plugins: the socket of a driver that is named so. */
const DOCKER_SPEC = '/etc/docker/plugins/tsnet.spec'

export const CONFLIST = '10-tsnet.conflist'

/** @throws TsnetError `invalid-environment` naming the option and the value */
export function planItems(wishes: Wishes, facts: Facts): Item[] {
  const { binDir, moreBinDirs, driverDir, confDir, prefix, dockerConfig } = wishes
  const paths = {
    '--bin-dir': binDir,
    '--conf-dir': confDir,
    '--prefix': prefix,
    '--docker-config': dockerConfig,
  }
  for (const [option, path] of Object.entries(paths)) {
    if (path !== undefined && !isAbsolute(path))
      throw new TsnetError('invalid-environment', `${option}: ${shown(path)} is not an absolute path`)
  }
  const { executable, commands, version, conflist } = facts
  const share = (path: string, text: string): Item => fileItem(join(prefix, 'share', path), text)
  const proxy = join(prefix, 'libexec/tsnet/docker-proxy')
  return [
    ...['tsnet', ...namesOf(wishes.as, facts.roles)].map(name => link(join(binDir, name), executable)),
    ...[...moreBinDirs, driverDir].map(folder => link(join(folder, 'tsnet'), executable)),
    ...(conflist === undefined ? [] : [sampleItem(join(confDir, CONFLIST), conflist)]),
    link(join(prefix, 'bin/tsnet'), executable),
    ...manPages(commands, version).map(({ name, text }) => share(`man/man1/${name}`, text)),
    share('bash-completion/completions/tsnet', bashCompletion(commands)),
    share('zsh/site-functions/_tsnet', zshCompletion(commands)),
    share('fish/vendor_completions.d/tsnet.fish', fishCompletion(commands)),
    ...(dockerConfig === undefined
      ? []
      : [
          link(proxy, executable),
          { kind: 'key', path: dockerConfig, key: 'userland-proxy-path', value: proxy } satisfies Item,
          fileItem(DOCKER_SPEC, 'unix:///run/tsnet/docker.sock\n'),
        ]),
  ]
}

function namesOf(words: string, roles: readonly string[]): string[] {
  const others = roles.filter(role => role !== 'tsnet')
  if (words === 'all') return others
  const names = words.split(',').filter(word => word !== '')
  const unknown = names.find(name => !others.includes(name))
  if (unknown === undefined) return [...new Set(names)]
  throw new TsnetError(
    'invalid-environment',
    `--as: ${shown(unknown)} is no plugin that tsnet plays: ${others.join(', ')}, or all`,
  )
}

const link = (path: string, target: string): Item => ({ kind: 'link', path, target })
