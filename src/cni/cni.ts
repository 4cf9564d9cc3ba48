/**
 * The CNI plugin: a call comes in as environment and JSON, an answer goes out as JSON and an exit code.
 *
 *     CNI_COMMAND, …   stdin                                            stdout, exit code
 *          │             │                                                  ▲
 *     request.ts      json ──▶ roles/ ──▶ config/ ──▶ network/ ──▶ result.ts or errors.ts
 *     (which call)   (Go's way)  (which plugin) (plain values) (the work)   (the caller's version)
 *
 * The name by which we are called decides which plugin we are: `tsnet`, which does in one process what a
 * chain of bridge, host-local, portmap and bandwidth does, or one of those. The order of checks is
 * libcni's: environment, JSON, name, version, then everything that the configuration says. Nothing is
 * touched before all of it was found good; and a call that fails has no effect. DEL and GC finish what
 * they began: see main.ts.
 *
 * The JSON is read as Go reads it (model/json/), since every caller is written in Go; the answers are exact
 * for each version of the spec (result.ts), since not every reader is tolerant.
 *
 * Limits: an `args` section other than `args.cni` is not read.
 */

import { TsnetError } from '../model/errors.ts'
import { type Json, parseJson } from '../model/json/json.ts'
import { shownBare } from '../model/json/shown.ts'
import { surroundings } from '../model/surroundings.ts'
import { checkCommandIsIn, newest, readVersion, type Version, versions } from '../runtime/cni-versions.ts'
import { checkNetworkName } from './config/names.ts'
import { unknownKeys } from './config/unknown-keys.ts'
import { errorObject } from './errors.ts'
import type { Operations, Plugin, PluginCall } from './plugin.ts'
import { type Call, checkInterface, type Environment, readCall } from './request.ts'
import { loadPlugin, roleOf } from './roles/roles.ts'

/** Where a call comes from. */
export interface Caller {
  env: Environment
  /** The file name by which we were called. */
  calledAs: string
  readStdin: () => string
  /** Loads the operations, which costs more than most calls that are refused. */
  operations: () => Promise<Operations>
}

export interface Answer {
  stdout: string
  exitCode: 0 | 1
}

/** Answers one call. Whatever happens, it resolves. */
export async function answer(caller: Caller): Promise<Answer> {
  let call: Call | undefined
  let version: Version | undefined
  let config: Json | undefined
  try {
    call = readCall(caller.env)
    if (call.command === 'VERSION') return success(versionReport(caller.readStdin()))
    config = parseJson(caller.readStdin())
    checkNetworkName(config.get('name').text())
    version = readVersion(config)
    checkCommandIsIn(version, call.command)
    if (call.command !== 'DEL') refuseList(config)
    const role = roleOf(caller.calledAs, config)
    checkInterface(call, role)
    const plugin = await loadPlugin(role)
    const { env, operations } = caller
    const result = await carryOut(plugin, { call, config, version, env, operations })
    await nameUnknownKeys(call, config, true)
    return success(result)
  } catch (thrown) {
    await nameUnknownKeys(call, config, false)
    return { stdout: print(errorObject(thrown, call?.command, version)), exitCode: 1 }
  }
}

/** @throws TsnetError `invalid-config` for a list, which would be taken for a network without any of its keys */
function refuseList(config: Json): void {
  if (!config.get('plugins').present || config.get('type').present) return
  throw new TsnetError(
    'invalid-config',
    'plugins: this is a network list, and a plugin is called with one entry of it',
    {
      details:
        'a runtime takes name and cniVersion of the list and one of its plugins; by hand: tsnet attach NETWORK CONTAINER',
    },
  )
}

/** Where somebody may read it: at the beginning of a container. A misspelt key does nothing, and nothing says so. */
async function nameUnknownKeys(call: Call | undefined, config: Json | undefined, whole: boolean) {
  if (call?.command !== 'ADD' || config === undefined) return
  const lines = (await unknownKeys(config, whole)).map(
    line => `tsnet: network ${shownBare(config.get('name').value)}: ${line}\n`,
  )
  if (lines.length > 0) surroundings().complain(lines.join(''))
}

async function carryOut(plugin: Plugin, asked: PluginCall): Promise<object | undefined> {
  switch (asked.call.command) {
    case 'ADD':
      return plugin.add(asked)
    case 'DEL':
      await plugin.del(asked)
      return undefined
    case 'CHECK':
      await plugin.check(asked)
      return undefined
    case 'GC':
      await plugin.gc(asked)
      return undefined
    case 'STATUS':
      await plugin.status(asked)
  }
  return undefined
}

/** Echoes the version of the question, as the spec wants it; none of ours where it does not ask in JSON. */
function versionReport(stdin: string): object {
  let asked: string | undefined
  try {
    asked = parseJson(stdin).get('cniVersion').text()
  } catch {
    // VERSION is how a caller finds out what it may ask.
  }
  return { cniVersion: asked ?? newest, supportedVersions: versions }
}

const success = (result: object | undefined): Answer => ({
  stdout: result === undefined ? '' : print(result),
  exitCode: 0,
})

const print = (value: object): string => `${JSON.stringify(value, null, 4)}\n`
