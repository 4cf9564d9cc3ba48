/**
 * Another IPAM plugin does the work; we only carry the call to it (CNI spec 1.1.0, section 4).
 *
 * The plugin gets the configuration as it came to us, so whatever the runtime asked for reaches it. Its
 * errors are passed on with its own code and words.
 */

import { messageOf, TsnetError } from '../model/errors.ts'
import type { AttachmentKey, Delegation } from '../model/network.ts'
import { execPlugin } from './exec-plugin.ts'
import { type Allocation, readPluginResult } from './plugin-result.ts'
import type { AttachmentName } from './reclaim.ts'

type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS'

/** The first version of the spec that has the command. */
const since: Record<Command, [number, number]> = {
  ADD: [0, 1],
  DEL: [0, 1],
  CHECK: [0, 4],
  GC: [1, 1],
  STATUS: [1, 1],
}

/** Asks the plugin for addresses. When it fails, it is asked to take back what it may have done. */
export async function delegateAdd(
  delegation: Delegation,
  owner: AttachmentKey & { netns?: { path: string } },
): Promise<Allocation> {
  const netns = owner.netns?.path
  try {
    return readPluginResult(delegation.plugin, await run(delegation, 'ADD', attachmentEnv(owner, netns)))
  } catch (failure) {
    // The first error is the one to tell.
    if (!isMissing(failure)) await delegateDel(delegation, owner, netns).catch(() => {})
    throw failure
  }
}

export async function delegateDel(
  delegation: Delegation,
  key: AttachmentKey,
  netnsPath: string | undefined,
): Promise<void> {
  await run(delegation, 'DEL', attachmentEnv(key, netnsPath))
}

/** @returns what the plugin finds wrong; nothing where the version knows no CHECK */
export async function delegateCheck(
  delegation: Delegation,
  key: AttachmentKey,
  netnsPath: string | undefined,
  prevResult: Record<string, unknown> | undefined,
): Promise<string[]> {
  if (!hasCommand(delegation, 'CHECK')) return []
  const extra = prevResult === undefined ? {} : { prevResult }
  try {
    await run(delegation, 'CHECK', attachmentEnv(key, netnsPath), extra)
    return []
  } catch (failure) {
    if (isMissing(failure)) throw failure
    return [`ipam plugin ${delegation.plugin}: ${messageOf(failure)}`]
  }
}

/**
 * Passes GC on with the list. Without one it is not passed on: what "provably dead" means only we know,
 * and a plugin could take the absence of a list for an empty one.
 */
export async function delegateGc(
  delegation: Delegation,
  stillValid: AttachmentName[] | undefined,
): Promise<void> {
  if (stillValid === undefined || !hasCommand(delegation, 'GC')) return
  const list = stillValid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }))
  await run(delegation, 'GC', {}, { 'cni.dev/valid-attachments': list })
}

export async function delegateStatus(delegation: Delegation): Promise<void> {
  if (hasCommand(delegation, 'STATUS')) await run(delegation, 'STATUS', {})
}

function run(
  { plugin, path, args, config }: Delegation,
  command: Command,
  env: Record<string, string>,
  extra: Record<string, unknown> = {},
): Promise<string> {
  return execPlugin({
    plugin,
    path,
    env: { ...env, CNI_COMMAND: command, CNI_ARGS: args, CNI_PATH: path.join(':') },
    config: { ...config, ...extra },
  })
}

const attachmentEnv = (key: AttachmentKey, netnsPath: string | undefined) => ({
  CNI_CONTAINERID: key.containerId,
  CNI_NETNS: netnsPath ?? '',
  CNI_IFNAME: key.ifname,
})

/** A missing plugin has done nothing, and cannot be asked again. */
const isMissing = (thrown: unknown): boolean =>
  thrown instanceof TsnetError && (thrown.code === 'missing' || thrown.code === 'invalid-config')

function hasCommand({ config }: Delegation, command: Command): boolean {
  const [, major = '0', minor = '1'] = /^(\d+)\.(\d+)\./.exec(String(config.cniVersion)) ?? []
  const [leastMajor, leastMinor] = since[command]
  return Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor)
}
