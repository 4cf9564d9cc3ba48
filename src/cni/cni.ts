/**
 * The CNI plugin: a call comes in as environment and JSON, an answer goes out as JSON and an exit code.
 *
 *     CNI_COMMAND, …   stdin                                       stdout, exit code
 *          │             │                                             ▲
 *     request.ts      json.ts ──▶ config.ts ──▶ network/ ──▶ result.ts or errors.ts
 *     (which call)   (Go's way)  (plain values)  (the work)   (the caller's version)
 *
 * One process does what a chain of bridge, host-local, portmap and bandwidth does. The order of checks is
 * libcni's: environment, JSON, name, version, then everything that the configuration says. Nothing is
 * touched before all of it was found good; and a call that fails has no effect.
 *
 * DEL is forgiving. What was made is on record, so of the configuration only the name of the network is
 * needed; the rest serves where the record is lost. It finishes what it began: see main.ts.
 *
 * The JSON is read as Go reads it (json.ts), since every caller is written in Go; the answers are exact
 * for each version of the spec (result.ts), since not every reader is tolerant.
 *
 * Limits: no VLAN of the bridge's own in results; an `args` section other than `args.cni` is not read.
 */

import { type Json, parseJson } from '../model/json.ts'
import type { attach, check, collect, DetachHint, detach, status } from '../network/network.ts'
import { readAttachRequest, readNetwork, readValidAttachments } from './config.ts'
import { errorObject } from './errors.ts'
import { readIpam } from './ipam-config.ts'
import { checkNetworkName } from './names.ts'
import { readPrevious } from './previous.ts'
import { type Call, type Environment, readCall } from './request.ts'
import { noAddresses, resultOf, shapeResult } from './result.ts'
import { roleOf } from './roles.ts'
import { atLeast, checkCommandIsIn, newest, readVersion, type Version, versions } from './versions.ts'

/** What the plugin needs to be done; src/network does it. */
export interface Operations {
  attach: typeof attach
  detach: typeof detach
  check: typeof check
  collect: typeof collect
  status: typeof status
}

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
  try {
    call = readCall(caller.env)
    if (call.command === 'VERSION') return success(versionReport(caller.readStdin()))
    const config = parseJson(caller.readStdin())
    checkNetworkName(config.get('name').text())
    version = readVersion(config)
    checkCommandIsIn(version, call.command)
    roleOf(caller.calledAs, config)
    return success(await carryOut(call, config, version, caller))
  } catch (thrown) {
    return { stdout: print(errorObject(thrown, call?.command, version)), exitCode: 1 }
  }
}

async function carryOut(
  call: Call,
  config: Json,
  version: Version,
  caller: Caller,
): Promise<object | undefined> {
  switch (call.command) {
    case 'ADD':
      return add(call, config, version, caller)
    case 'DEL': {
      const { detach } = await caller.operations()
      await detach(keyOf(call, config), hintFor(call, config, version))
      return undefined
    }
    case 'CHECK': {
      const request = readAttachRequest(config, version, call, caller.env)
      const previous =
        readPrevious(config) ?? config.get('prevResult').refuse('is missing; CHECK compares with it')
      const { check } = await caller.operations()
      const raw = config.get('prevResult').object()
      await check(request, { ...previous, raw }, { allowOwnNetns: call.allowOwnNetns })
      return undefined
    }
    case 'GC': {
      const network = readNetwork(config, version, call, caller.env)
      const valid = readValidAttachments(config)
      const { collect } = await caller.operations()
      await collect(network, valid)
      return undefined
    }
    case 'STATUS': {
      const network = readNetwork(config, version, call, caller.env)
      const { status } = await caller.operations()
      await status(network)
      return undefined
    }
  }
  return undefined
}

async function add(call: Call, config: Json, version: Version, caller: Caller): Promise<object> {
  const request = readAttachRequest(config, version, call, caller.env)
  const previous = readPrevious(config)
  if (request.network.ipam.kind === 'none' && !atLeast(version, '0.3.0')) throw noAddresses(version)
  const { attach, detach } = await caller.operations()
  const attachment = await attach(request, { allowOwnNetns: call.allowOwnNetns })
  try {
    return shapeResult(resultOf(attachment, previous), version)
  } catch (thrown) {
    await detach(keyOf(call, config), hintFor(call, config, version))
    throw thrown
  }
}

const keyOf = (call: Call, config: Json) => ({
  network: checkNetworkName(config.get('name').text()),
  containerId: call.containerId,
  ifname: call.ifname,
})

/** What DEL still knows. A configuration that became unreadable since ADD is no reason to keep things. */
function hintFor(call: Call, config: Json, version: Version): DetachHint {
  const hint: DetachHint = call.netns === '' ? {} : { netns: call.netns }
  try {
    hint.ipam = readIpam(config, { version, path: call.path, args: call.args })
  } catch {
    // Then the record alone must do.
  }
  return hint
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
