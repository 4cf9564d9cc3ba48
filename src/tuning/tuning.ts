/**
 * Tuning: settings of an interface that another plugin made, and of the kernel for the container's namespace.
 *
 *     sysctls below net/          written as they stand, in their order
 *     mac, promiscuous, mtu,      what the interface had before is written down first (backup.ts),
 *     allmulti, txQueueLength     and given back to it when the container leaves the network
 *
 * The interface is given back because it may outlive the container: a card of the host that was lent goes
 * home with the address it came with. The sysctls are the namespace's, and go with it.
 *
 * Each step has its undo: an error gives back all that was changed, the sysctls too. After a kill, the file
 * that was written before the first change of the interface says how it was, and DEL follows it.
 *
 * All of it happens inside the container's namespace, whose /proc/sys/net is that of the thread
 * (test/netns/assumptions/proc-sys-net-follows-the-thread.ts). A key names a file there by parts that were
 * checked (sysctl-name.ts), so that nothing else can be reached; the host may allow only some (allowlist.ts).
 *
 * Limits: values of sysctls longer than 4 KB are not given back.
 */

import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { present } from '../model/present.ts'
import { everyStep, type Undo } from '../model/undo.ts'
import { changeLink, findLink, type Link } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { inside, type Netns } from '../netns/netns.ts'
import { hasSysctl, readSysctl, setSysctl } from '../netns/sysctl.ts'
import { type LinkSettings, linkSettings } from './link-settings.ts'
import { sysctlNames } from './sysctl-name.ts'

export { checkAllowed } from './allowlist.ts'
export { DATA_DIR, listOrigins, type Origin, readBackup, removeBackup, writeBackup } from './backup.ts'
export { sysctlNames } from './sysctl-name.ts'

export interface Tuning extends LinkSettings {
  /** In the order in which they are set. */
  sysctls: { key: string; value: string }[]
}

type Trace = ((equivalent: string) => void) | undefined

/** True where the interface itself is to be changed. */
export const tunesLink = (tuning: Tuning): boolean => linkSettings.some(name => tuning[name] !== undefined)

/**
 * What the interface has now of what is to be changed.
 * @throws TsnetError `invalid-config` when there is no such interface
 */
export function settingsNow(netns: Netns, ifname: string, tuning: Tuning): LinkSettings {
  const link = linkIn(netns, ifname)
  if (link === undefined) {
    throw new TsnetError(
      'invalid-config',
      `interface ${ifname} is not in ${netns.path}: tuning comes behind the plugin that makes it`,
    )
  }
  return onlyChanged(link, tuning)
}

/**
 * Sets all of it.
 * @throws TsnetError `invalid-config` for a sysctl that the kernel does not have, `kernel` for what it refuses
 */
export function tune(netns: Netns, ifname: string, tuning: Tuning, undo: Undo, trace?: Trace): void {
  for (const { key, value } of tuning.sysctls) {
    const { name, before } = inside(netns, () => setOne(key, value, ifname))
    if (before === undefined) continue
    undo.push(`sysctl ${key}`, () => {
      inside(netns, () => setSysctl(name, before))
    })
  }
  if (!tunesLink(tuning)) return
  const before = settingsNow(netns, ifname, tuning)
  for (const setting of linkSettings) {
    if (tuning[setting] === undefined || tuning[setting] === before[setting]) continue
    change(netns, ifname, pick(tuning, setting), trace)
    undo.push(`${setting} of ${ifname}`, () => change(netns, ifname, pick(before, setting), trace))
  }
}

/** Gives an interface what it had; nothing to be done where it is gone. @throws after having tried all */
export async function restore(
  netns: Netns,
  ifname: string,
  before: LinkSettings,
  trace?: Trace,
): Promise<void> {
  if (linkIn(netns, ifname) === undefined) return
  // The reference's order of giving back.
  const order = ['mtu', 'mac', 'promiscuous', 'allmulti', 'txQueueLength'] as const
  await everyStep(
    order
      .filter(setting => before[setting] !== undefined)
      .map(setting => () => change(netns, ifname, pick(before, setting), trace)),
  )
}

/** All differences between what was asked for and what is, in words. */
export function verifyTuning(netns: Netns, ifname: string, tuning: Tuning): string[] {
  const problems = tuning.sysctls.flatMap(({ key, value }) => {
    const name = inside(netns, () => sysctlNames(key, ifname).find(hasSysctl))
    if (name === undefined) return [`there is no sysctl ${key}`]
    const now = inside(netns, () => readIfAllowed(name))
    // The kernel lists several numbers with tabs between them.
    const same = now === undefined || words(now) === words(value)
    return same ? [] : [`sysctl ${key} is ${shown(now)} instead of ${shown(value)}`]
  })
  const link = linkIn(netns, ifname)
  if (link === undefined) return [...problems, `interface ${ifname} is gone`]
  const wrong = linkSettings.filter(name => tuning[name] !== undefined && tuning[name] !== link[name])
  return [
    ...problems,
    ...wrong.map(name => `${name} of ${ifname} is ${link[name]} instead of ${tuning[name]}`),
  ]
}

const words = (text: string): string => text.trim().split(/\s+/).join(' ')

const pick = (settings: LinkSettings, name: (typeof linkSettings)[number]): LinkSettings =>
  present({ [name]: settings[name] })

const onlyChanged = (link: Link, tuning: Tuning): LinkSettings =>
  Object.fromEntries(linkSettings.filter(name => tuning[name] !== undefined).map(name => [name, link[name]]))

const linkIn = (netns: Netns, name: string): Link | undefined =>
  inside(netns, () => {
    using nl = openNetlink()
    return findLink(nl, { name })
  })

function change(netns: Netns, ifname: string, settings: LinkSettings, trace: Trace): void {
  const [[name, value] = []] = Object.entries(settings)
  try {
    inside(netns, () => {
      using nl = openNetlink(trace)
      const link = findLink(nl, { name: ifname })
      if (link !== undefined) changeLink(nl, link, settings)
    })
  } catch (cause) {
    throw new TsnetError('kernel', `${name} of ${ifname} cannot be ${value}: ${messageOf(cause)}`, { cause })
  }
}

/** @returns the name that was meant and what it had; undefined where that cannot be read */
function setOne(key: string, value: string, ifname: string): { name: string; before: string | undefined } {
  const name = sysctlNames(key, ifname).find(hasSysctl)
  if (name === undefined) {
    throw new TsnetError('invalid-config', `sysctl ${shown(key)}: the kernel has no such setting`)
  }
  try {
    const before = readIfAllowed(name)
    setSysctl(name, value)
    return { name, before }
  } catch (cause) {
    throw new TsnetError('kernel', `sysctl ${shown(key)} cannot be ${shown(value)}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

/** Some, such as net/ipv4/route/flush, can only be written. */
function readIfAllowed(name: string): string | undefined {
  try {
    return readSysctl(name)
  } catch (thrown) {
    if (hasCode(thrown, 'EACCES', 'EPERM')) return undefined
    throw thrown
  }
}
