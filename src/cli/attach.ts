/** `tsnet attach`, `tsnet detach` and `tsnet oci-hook`. */

import {
  callsToJoin,
  callsToLeave,
  idsOf,
  join,
  leave,
  readPort,
  remembered,
  runOciHook,
  whoLeaves,
} from '../chain/chain.ts'
import { readStdin } from '../cni/stdin.ts'
import { ignoreSignals } from '../ffi/signals.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { parseJson } from '../model/json/json.ts'
import type { AttachmentKey } from '../model/network.ts'
import type { Container } from '../model/publication/publication.ts'
import { hostOf } from '../networks/places.ts'
import { addressesIn } from '../networks/result.ts'
import { readAllowed } from '../networks/wish/wish.ts'
import { resolve } from '../publish/resolve.ts'
import { findNetworkList } from '../runtime/conflist.ts'
import { tellCaller } from './caller.ts'
import type { Terminal } from './terminal.ts'

export interface AttachOptions {
  confDir?: string
  ifname?: string
  publish?: string[]
  ip?: string
  alias?: string[]
  egress?: string[]
}

/** `isDry`: nothing is done, and the calls of plugins are printed that would be made. */
type Output = AttachOptions & { json: boolean; isDry: boolean }

/** Puts a container that exists on a network; prints the interface and its addresses, or the CNI result. */
export async function attach(
  terminal: Terminal,
  network: string,
  word: string,
  { confDir, ifname, publish = [], ip, alias = [], egress, json, isDry }: Output,
): Promise<void> {
  const host = hostOf(process.env, confDir)
  const list = findNetworkList(network, host.confDir)
  const container = await resolve(word, warning(terminal))
  const { name, netns } = container
  const [containerId = ''] = idsOf(container, host)
  const request = {
    containerId,
    name,
    netns: netns.path,
    ports: publish.map(readPort),
    aliases: alias,
    ...(ifname !== undefined && { ifname }),
    ...(ip !== undefined && { ips: [ip] }),
    ...(egress !== undefined && { allow: readAllowed(egress) }),
  }
  if (isDry) return printCalls(terminal, callsToJoin(list, request, host), json)
  const joined = await join(list, request, host)
  if (json) terminal.out(`${JSON.stringify(joined.result, null, 2)}\n`)
  else
    terminal.out(
      `${name} ${joined.ifname} ${network} ${addressesIn(joined.result).join(' ')}`.trimEnd().concat('\n'),
    )
}

/** Takes a container off a network; it need not run any more. */
export async function detach(
  terminal: Terminal,
  network: string,
  word: string,
  { confDir, ifname, json, isDry }: Output,
): Promise<void> {
  // What is begun is finished.
  ignoreSignals('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE')
  const host = hostOf(process.env, confDir)
  const running = await resolve(word, warning(terminal)).catch(notRunning)
  const requestOf = (containerId: string) => ({
    network,
    containerId,
    ...(ifname !== undefined && { ifname }),
    ...(running && { netns: running.netns }),
  })
  const calls: string[] = []
  const gone = async (containerId: string): Promise<AttachmentKey[]> => {
    if (!isDry) return leave(requestOf(containerId), host)
    const known = whoLeaves(requestOf(containerId), host)
    calls.push(...known.flatMap(each => callsToLeave(each, host)))
    return known
  }
  const left: AttachmentKey[] = []
  for (const id of running === undefined ? [] : idsOf(running, host)) left.push(...(await gone(id)))
  if (left.length === 0) left.push(...(await gone(onlyOne(word, remembered(word, network, host)))))
  if (left.length === 0) {
    const what = ifname === undefined ? '' : ` as ${ifname}`
    throw new TsnetError('unknown-container', `${word} is not on network ${network}${what}`)
  }
  if (isDry) printCalls(terminal, calls, json)
  else if (json) terminal.out(`${JSON.stringify(left)}\n`)
  else for (const each of left) terminal.out(`${running?.name ?? word} ${each.ifname} ${network} detached\n`)
}

function printCalls(terminal: Terminal, calls: readonly string[], json: boolean): void {
  if (json) terminal.out(`${JSON.stringify(calls)}\n`)
  else for (const call of calls) terminal.out(`[#] ${call}\n`)
}

function onlyOne(word: string, ids: string[]): string {
  const [id = '', ...others] = ids
  if (others.length === 0) return id
  throw new TsnetError('unknown-container', `${word} could be any of ${ids.join(', ')}; name one of these`)
}

const warning = (terminal: Terminal) => (line: string) => terminal.error(`tsnet: ${line}\n`)

/** Whether it runs is not the question; that nobody can say which one is meant would be. */
function notRunning(thrown: unknown): Container | undefined {
  if (hasCode(thrown, 'unknown-container', 'not-running', 'invalid-netns', 'io', 'missing')) return undefined
  throw thrown
}

/** Reads the state of a container from its runtime, and follows its annotations. */
export async function ociHook({ confDir }: { confDir?: string }): Promise<void> {
  const state = parseJson(readStdin())
  if (state.get('status').text() === 'stopped') ignoreSignals('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE')
  try {
    await runOciHook(state, hostOf(process.env, confDir))
  } catch (thrown) {
    tellCaller(`tsnet: ${messageOf(thrown)}\n`)
    throw thrown
  }
}
