/**
 * What a role is: five answers to one kind of question, and how it reads what it is asked with.
 *
 * Each role reads its own configuration, has the work done by the layers below, and gives it the shape
 * of a result. What all roles have in common, cni.ts has done before.
 */

import type { Json } from '../model/json/json.ts'
import type { Network } from '../model/network.ts'
import type { attach, check, collect, detach, status } from '../network/network.ts'
import type { Version } from '../runtime/cni-versions.ts'
import type { Call, Environment } from './request.ts'

/** A call that is well-formed: its environment, its configuration, and a version that knows the command. */
export interface PluginCall {
  call: Call
  config: Json
  version: Version
  /** The environment of the caller, for what is not in `call`. */
  env: Environment
  /** Loads what does the work of the all-in-one plugin. */
  operations: () => Promise<Operations>
}

/** Each throws TsnetError; what is wrong with the configuration is found before anything is touched. */
export interface Plugin {
  /**
   * Reads all of the configuration that ADD reads, and touches nothing.
   * @returns the network that it would put a container on; undefined for a plugin that makes none
   */
  read(call: PluginCall): Network | undefined
  /** @returns the result in the version of the call, ready to be printed */
  add(call: PluginCall): Promise<object>
  del(call: PluginCall): Promise<void>
  check(call: PluginCall): Promise<void>
  gc(call: PluginCall): Promise<void>
  status(call: PluginCall): Promise<void>
}

/** What the all-in-one plugin needs to be done; src/network does it, with the daemon or without. */
export interface Operations {
  attach: typeof attach
  detach: typeof detach
  check: typeof check
  collect: typeof collect
  status: typeof status
}
