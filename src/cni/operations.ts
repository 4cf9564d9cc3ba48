/** The operations that do the work of the all-in-one plugin: with the daemon, unless the caller forbids it. */

import type { Operations } from './plugin.ts'
import type { Environment } from './request.ts'

/** @param env of the caller */
export const operationsIn = (env: Environment): Promise<Operations> =>
  env.TSNET_DAEMON === 'off' ? import('../network/network.ts') : import('../control/held-ports.ts')
