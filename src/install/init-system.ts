/** How the daemon is started with the host: units of systemd, or a script for OpenRC or System V's init. */

import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { openrcScript, SCRIPT, sysvScript } from './init-scripts.ts'
import { fileItem, type Item, sampleItem } from './items.ts'
import type { Surroundings } from './surroundings.ts'

export type InitSystem = 'systemd' | 'openrc' | 'sysv' | 'none'

const systems: readonly InitSystem[] = ['systemd', 'openrc', 'sysv', 'none']

/**
 * What was asked for; `auto`: what runs this host, or what it is made for where nothing does (an image).
 * @throws TsnetError `invalid-environment`
 */
export function initSystemOf(word: string, around: Surroundings): InitSystem {
  if (word !== 'auto') {
    const system = systems.find(each => each === word)
    if (system !== undefined) return system
    throw new TsnetError('invalid-environment', `--init: ${shown(word)} is not auto, ${systems.join(', ')}`)
  }
  const has = (path: string) => around.lookAt(path) !== 'nothing'
  if (isBooted('systemd', around)) return 'systemd'
  if (has('/sbin/openrc-run')) return 'openrc'
  if (has('/lib/systemd/systemd') || has('/usr/lib/systemd/systemd')) return 'systemd'
  return has('/etc/init.d') ? 'sysv' : 'none'
}

/** What an init system leaves on a host that it has started. Source: sd_booted(3), OpenRC's librc. */
const MARKS: Partial<Record<InitSystem, string>> = {
  systemd: '/run/systemd/system',
  openrc: '/run/openrc/softlevel',
}

/** Whether an init system runs here, so that services can be started. */
export function isBooted(system: InitSystem, around: Surroundings): boolean {
  const mark = MARKS[system]
  return mark === undefined || around.lookAt(mark) !== 'nothing'
}

/**
 * What a command amounts to on this host; empty: nothing. Where the init system does not run (a chroot, a
 * container), services can be enabled for the next start, but none can be started, stopped or read again.
 */
export function commandHere(words: readonly string[], around: Surroundings): string[] {
  switch (words[0]) {
    case 'systemctl': {
      if (isBooted('systemd', around)) return [...words]
      return words.includes('daemon-reload') ? [] : words.filter(word => word !== '--now')
    }
    case 'rc-service':
      return isBooted('openrc', around) ? [...words] : []
    default:
      return [...words]
  }
}

export interface Service {
  /** Path of tsnet. */
  executable: string
  /** conf/tsnetd.service and conf/tsnetd.socket. */
  units: { service: string; socket: string }
  /** Have the init system start it, now and with the host. */
  enable: boolean
  /** dockerd's networks may be ours: it starts once the daemon serves. */
  docker: boolean
  /** A daemon of ours runs already: leave it in peace. */
  running: boolean
}

/** Files and commands. @throws TsnetError `invalid-environment` for an executable that would have to be quoted */
export function serviceItems(system: InitSystem, service: Service, around: Surroundings): Item[] {
  const { enable, executable } = service
  if (!/^[\w/.,:@+-]+$/.test(executable) && system !== 'none') {
    throw new TsnetError(
      'invalid-environment',
      `--init: no service can be made of ${shown(executable)}; install from a path without spaces, or with --init none`,
    )
  }
  switch (system) {
    case 'systemd':
      return systemdItems(service, isBooted('systemd', around))
    case 'openrc':
      return [
        script(openrcScript(executable)),
        ...(enable ? runs(service, ['rc-service', 'tsnetd']) : []),
        ...(enable
          ? [command(['rc-update', 'add', 'tsnetd', 'default'], ['rc-update', 'del', 'tsnetd', 'default'])]
          : []),
      ]
    case 'sysv': {
      const registry = sysvCommands.filter(({ needs }) => around.lookAt(needs) !== 'nothing')
      return [
        script(sysvScript(executable)),
        ...(enable ? runs(service, [SCRIPT]) : []),
        ...(enable ? registry.map(({ add, remove }) => command(add, remove)) : []),
      ]
    }
    case 'none':
      return []
  }
}

/** Whichever of them is there. */
const sysvCommands = [
  {
    needs: '/usr/sbin/update-rc.d',
    add: ['update-rc.d', 'tsnetd', 'defaults'],
    remove: ['update-rc.d', '-f', 'tsnetd', 'remove'],
  },
  {
    needs: '/sbin/chkconfig',
    add: ['chkconfig', '--add', 'tsnetd'],
    remove: ['chkconfig', '--del', 'tsnetd'],
  },
]

const UNITS = '/etc/systemd/system'

/** Asks the manager itself, and changes nothing. */
const ASKS = ['systemctl', 'show', '--property=Version']

/** One that has containers to start would find no driver, and leave them where they are. */
const AFTER_US = `[Unit]
Wants=tsnetd.service
After=tsnetd.service
`

function systemdItems({ executable, units, enable, docker, running }: Service, booted: boolean): Item[] {
  const service = `${UNITS}/tsnetd.service`
  const socket = `${UNITS}/tsnetd.socket`
  const dropIn = `${UNITS}/docker.service.d/tsnet.conf`
  const files = [
    sampleItem(service, units.service.replace(/^ExecStart=\S+/m, `ExecStart=${executable}`)),
    sampleItem(socket, units.socket),
    ...(docker ? [sampleItem(dropIn, AFTER_US)] : []),
  ]
  if (!enable) return files
  const after = [service, socket, ...(docker ? [dropIn] : [])]
  const reload = ['systemctl', 'daemon-reload']
  // Taking back goes the other way round: it reads the units again when they are gone.
  return [
    command([], reload),
    ...files,
    { kind: 'command', command: reload, back: [], after, ...(booted && { asks: ASKS }) },
    command(
      ['systemctl', 'enable', ...(running ? [] : ['--now']), 'tsnetd.socket'],
      ['systemctl', 'disable', '--now', 'tsnetd.service', 'tsnetd.socket'],
    ),
  ]
}

/** Ended before its script goes, whoever started it. */
const runs = ({ running }: Service, script: string[]): Item[] => [
  command(running ? [] : [...script, 'start'], [...script, 'stop']),
]

const command = (words: string[], back: string[]): Item => ({
  kind: 'command',
  command: words,
  back,
  after: [],
})

const script = (text: string): Item => fileItem(SCRIPT, text, 0o755)
