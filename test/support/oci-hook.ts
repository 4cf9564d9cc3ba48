/** What conf/oci-hook.json has, for containers of tests: the hooks with this executable. */

import { readFileSync } from 'node:fs'
import { EXECUTABLE } from './daemon.ts'
import { NO_DAEMON } from './no-daemon.ts'
import type { OciConfig } from './oci.ts'

interface Sample {
  annotations: Record<string, string>
  hooks: Record<string, { path: string }[]>
}

const environment = () => Object.entries({ PATH: process.env.PATH, ...NO_DAEMON }).map(each => each.join('='))

/** Gives a container the hooks. @param annotations default the sample's */
export function addHooks(config: OciConfig, annotations?: Record<string, string>): void {
  const sample = JSON.parse(readFileSync('conf/oci-hook.json', 'utf8')) as Sample
  const hooks = Object.entries(sample.hooks).map(([name, list]) => [
    name,
    list.map(hook => ({ ...hook, path: EXECUTABLE, env: environment() })),
  ])
  Object.assign(config, { annotations: annotations ?? sample.annotations, hooks: Object.fromEntries(hooks) })
}
