/** `tsnet install` and `tsnet uninstall`. */

import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { roles } from '../../cni/roles/roles.ts'
import { connectControl } from '../../control/client.ts'
import { executable } from '../../control/executable.ts'
import { initSystemOf, isBooted, type Service, serviceItems } from '../../install/init-system.ts'
import {
  CONFLIST,
  type CommandText,
  install as doInstall,
  planItems,
  Surroundings,
  uninstall as undoInstall,
} from '../../install/install.ts'
import { linkTarget } from '../../install/origin.ts'
import { TsnetError } from '../../model/errors.ts'
import { shownPath } from '../../model/json/shown.ts'
import { VERSION } from '../../model/version.ts'
import { CONF_DIR, listNetworks, type NetworkList, parseNetworkList } from '../../runtime/conflist.ts'
import { readContainerdConfig } from '../../runtime/containerd-config.ts'
import { driverFolders } from '../../runtime/network-folders.ts'
import type { Terminal } from '../terminal.ts'

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

const BIN_DIR = '/opt/cni/bin'
const DOCKER_CONFIG = '/etc/docker/daemon.json'

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
  const { say, finish } = reporter(terminal, options)
  const { binDir = BIN_DIR, confDir = CONF_DIR } = options
  const conflist = sample('ports.conflist')
  const alike = namesake(conflist, around.at(confDir))
  const items = planItems(
    {
      binDir,
      moreBinDirs: options.binDir === undefined ? foldersOfPods(around) : [],
      driverDir: driverFolders(around.root)[0],
      confDir,
      prefix: options.prefix ?? '/usr/local',
      as: options.as ?? '',
      ...(docker && { dockerConfig: options.dockerConfig ?? DOCKER_CONFIG }),
    },
    {
      executable: target,
      version: VERSION,
      roles,
      commands,
      ...(alike === undefined && { conflist }),
    },
  )
  const service: Service = {
    executable: target,
    units: { service: sample('tsnetd.service'), socket: sample('tsnetd.socket') },
    enable,
    docker,
    running: enable && (await daemonRuns()),
  }
  const all = [...items, ...serviceItems(system, service, around)]
  if (alike !== undefined) say(`leave ${confDir}/${basename(alike.file)}: ${alike.what}; no other is added`)
  const count = await doInstall(all, around, {
    dryRun: options.dryRun === true,
    say,
  })
  if (count === 0) say('nothing to do: all of it is there')
  if (system === 'none')
    say(
      'this host has no init system that is known: start `tsnet daemon` with it by other means; publishing a port starts one too',
    )
  if (enable && count > 0 && !isBooted(system, around))
    say(`${system} does not run here: the daemon starts with it, or with the first port that is published`)
  if (service.running && system !== 'none' && count > 0)
    say('a daemon runs already, and goes on; that of the init system follows it when the host starts again')
  if (docker && count > 0)
    say(
      'restart dockerd for it to use our docker-proxy; networks of ours it makes at once: docker network create -d tsnet',
    )
  if (!SYSTEM_FOLDERS.some(folder => existsSync(join(folder, 'node'))))
    say(`container runtimes will not find node: ln -s ${process.execPath} /usr/local/bin/node`)
  finish()
}

export async function uninstall(terminal: Terminal, options: UninstallOptions): Promise<void> {
  const { say, finish } = reporter(terminal, options)
  const around = new Surroundings(rootOf(options))
  const count = await undoInstall(around, { dryRun: options.dryRun === true, say })
  if (count === 0) say('nothing to do: nothing is installed')
  // In a folder that stands for / there is nothing of anybody's; and only root sees what there is.
  if (around.root === '' && process.getuid?.() === 0) {
    const { leftHere } = await import('./left.ts')
    leftHere().forEach(say)
  }
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
  throw new TsnetError('invalid-environment', `--root: ${shownPath(root)} is no folder`)
}

const daemonRuns = async (): Promise<boolean> => {
  using client = await connectControl().catch(() => undefined)
  return client !== undefined
}

const sample = (name: string): string => readFileSync(join(dirname(executable()), '../../conf', name), 'utf8')

/** Where containerd looks for the plugins of pods; distributions have it elsewhere than everybody else. */
const foldersOfPods = (around: Surroundings): string[] =>
  readContainerdConfig(around.root).pluginFolders.filter(folder => folder !== BIN_DIR)

/** A network of the host that is the one of the sample, under another file name, or on the same bridge. */
function namesake(sampleText: string, folder: string): { file: string; what: string } | undefined {
  const ours = parseNetworkList(sampleText)
  const bridges = bridgesOf(ours)
  for (const { file, list } of listNetworks(folder)) {
    if (basename(file) === CONFLIST) continue
    if (list.name === ours.name) return { file, what: `it is network ${list.name} already` }
    const shared = bridgesOf(list).find(bridge => bridges.includes(bridge))
    if (shared !== undefined) return { file, what: `it has the bridge ${shared} already` }
  }
  return undefined
}

const bridgesOf = ({ plugins }: NetworkList): unknown[] =>
  plugins.map(({ config }) => config.bridge).filter(bridge => bridge !== undefined)
