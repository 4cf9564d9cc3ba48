/** The operations that do the work of the all-in-one plugin: with the daemon where one may run. */

import { existsSync } from 'node:fs'
import type { Operations } from './plugin.ts'
import type { Environment } from './request.ts'

/** @param env of the caller */
export const operationsIn = (env: Environment): Promise<Operations> =>
  daemonMayRun(env) ? import('../control/held-ports.ts') : import('../network/network.ts')

/** Asked before anything is loaded for it. */
const daemonMayRun = (env: Environment): boolean =>
  env.TSNET_DAEMON !== 'off' && existsSync(`${env.TSNET_RUN_DIR ?? '/run/tsnet'}/control.sock`)
