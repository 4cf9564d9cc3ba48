/** `tsnet install` and `tsnet uninstall`. */

import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { roles } from '../cni/roles.ts'
import { connectControl } from '../control/client.ts'
import { executable } from '../control/executable.ts'
import { initSystemOf, type Service, serviceItems } from '../install/init-system.ts'
import {
  type CommandText,
  install as doInstall,
  planItems,
  Surroundings,
  uninstall as undoInstall,
} from '../install/install.ts'
import { linkTarget } from '../install/origin.ts'
import { TsnetError } from '../model/errors.ts'
import { VERSION } from '../model/version.ts'
import type { Terminal } from './terminal.ts'

export interface InstallOptions {
  binDir?: string
  confDir?: string
  prefix?: string
  as?: string
  docker?: true
  dockerConfig?: string
  init?: string
  enable?: boolean
  root?: string
  dryRun?: true
  json?: true
}

export interface UninstallOptions {
  root?: string
  dryRun?: true
  json?: true
}

const DOCKER_CONFIG = '/etc/docker/daemon.json'

/** Of the sample that is installed, what names it: nobody shall mind that the sample is used as well. */
const NETWORK = { name: 'tsnet', bridge: 'tsnet0', subnets: ['10.78.0.0/16', 'fd00:78::/64'] }

/** Where runtimes look for a `node`, whatever PATH they have. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

export async function install(
  terminal: Terminal,
  commands: CommandText[],
  options: InstallOptions,
): Promise<void> {
  const around = new Surroundings(rootOf(options))
  const target = linkTarget(executable())
  const system = initSystemOf(options.init ?? 'auto', around)
  const enable = options.enable !== false && around.root === ''
  const docker = options.docker === true || options.dockerConfig !== undefined
  const items = planItems(
    {
      binDir: options.binDir ?? '/opt/cni/bin',
      confDir: options.confDir ?? '/etc/cni/net.d',
      prefix: options.prefix ?? '/usr/local',
      as: options.as ?? '',
      ...(docker && { dockerConfig: options.dockerConfig ?? DOCKER_CONFIG }),
    },
    { executable: target, version: VERSION, roles, commands, conflist: conflist() },
  )
  const service: Service = {
    executable: target,
    units: { service: sample('tsnetd.service'), socket: sample('tsnetd.socket') },
    enable,
    running: enable && (await daemonRuns()),
  }
  const { say, finish } = reporter(terminal, options)
  const count = await doInstall([...items, ...serviceItems(system, service, around)], around, {
    dryRun: options.dryRun === true,
    say,
  })
  if (count === 0) say('nothing to do: all of it is there')
  if (system === 'none')
    say(
      'this host has no init system that is known: start `tsnet daemon` with it by other means; publishing a port starts one too',
    )
  if (service.running && system !== 'none' && count > 0)
    say('a daemon runs already, and goes on; that of the init system follows it when the host starts again')
  if (docker && count > 0) say('restart dockerd for it to use our docker-proxy')
  if (!SYSTEM_FOLDERS.some(folder => existsSync(join(folder, 'node'))))
    say(`container runtimes will not find node: ln -s ${process.execPath} /usr/local/bin/node`)
  finish()
}

export async function uninstall(terminal: Terminal, options: UninstallOptions): Promise<void> {
  const { say, finish } = reporter(terminal, options)
  const around = new Surroundings(rootOf(options))
  const count = await undoInstall(around, { dryRun: options.dryRun === true, say })
  if (count === 0) say('nothing to do: nothing is installed')
  finish()
}

/** Lines as they come, or one JSON document of them in the end. */
function reporter(terminal: Terminal, { json }: { json?: true }) {
  const lines: string[] = []
  return {
    say: (line: string) => void (json ? lines.push(line) : terminal.out(`${line}\n`)),
    finish: () => void (json && terminal.out(`${JSON.stringify(lines)}\n`)),
  }
}

/** @throws TsnetError `invalid-environment` */
function rootOf({ root }: { root?: string }): string {
  if (root === undefined) return ''
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() === true) return resolve(root)
  throw new TsnetError('invalid-environment', `--root: ${JSON.stringify(root)} is no folder`)
}

const daemonRuns = async (): Promise<boolean> => {
  using client = await connectControl().catch(() => undefined)
  return client !== undefined
}

const sample = (name: string): string => readFileSync(join(dirname(executable()), '../../conf', name), 'utf8')

function conflist(): string {
  const list = JSON.parse(sample('ports.conflist')) as { name: string; plugins: Record<string, unknown>[] }
  const ranges = NETWORK.subnets.map(subnet => [{ subnet }])
  const plugins = list.plugins.map(plugin => ({
    ...plugin,
    bridge: NETWORK.bridge,
    ipam: { type: 'host-local', ranges },
  }))
  return `${JSON.stringify({ ...list, name: NETWORK.name, plugins }, null, 2)}\n`
}
