/** Hosts of a measurement: network namespaces with nothing in them but who is measured. */

import { type Daemon, startDaemon } from '../daemon.ts'
import { ip } from '../sandbox.ts'
import type { Build } from './sides.ts'

export interface Host {
  netns: string
  /** Of its daemon; calls without the daemon have another beside it, so that they do not find it. */
  runDirectory: string
}

export function makeHost(name: string): Host {
  ip('netns', 'add', name)
  ip('-n', name, 'link', 'set', 'lo', 'up')
  return { netns: `/run/netns/${name}`, runDirectory: `/run/tsnet-${name}` }
}

/** Words that have a program run on a host. */
export const on = ({ netns }: Host): string[] => ['nsenter', `--net=${netns}`]

export const daemonOn = (host: Host, build: Build): Promise<Daemon> =>
  startDaemon({ TSNET_RUN_DIR: host.runDirectory }, { program: `${build.folder}/tsnet`, before: on(host) })
