/**
 * A host as an earlier build left it: its files, links, settings and rules, as they were read on a host on which that
 * build did it all. What differs from boot to boot and from namespace to namespace stands there as a mark.
 *
 *     web     10.10.0.2, fd10::2   ports 8080/tcp and 53/udp, 8 Mbit/s, 8081 by `publish`   br-front
 *     api     10.10.0.3, fd10::3   127.0.0.1:8082/tcp                                       br-front
 *     plain   10.9.0.2             8090/tcp, tuned, 8 Mbit/s, by a chain of drop-ins        cni9
 */

import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { NatBackend } from '../../src/model/network.ts'
import type { Scene } from './scene.ts'

const FOLDER = 'test/golden/state-0.1.0'

export const OLD_CONTAINERS = ['web', 'api', 'plain'] as const

/** @param scene with containers of these names and nothing else */
export async function layOldState(scene: Scene): Promise<void> {
  const { host, backend } = scene
  await host.run('sh', '-s', { stdin: readFileSync(`${FOLDER}/links.sh`, 'utf8') })
  for (const [what, content] of sectionsOf(backend)) {
    if (what.startsWith('/')) {
      const path = host.path(what)
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeFileSync(path, unmarked(scene, content), { mode: 0o600 })
    } else await host.run('sh', '-c', what, { stdin: content })
  }
}

/** Files by path, and what commands are fed. */
function sectionsOf(backend: NatBackend): (readonly [what: string, content: string])[] {
  const [, ...parts] = readFileSync(`${FOLDER}/${backend}.txt`, 'utf8').split(/^==? (.*)\n/m)
  return parts.flatMap((what, i) => (i % 2 === 0 ? [[what, parts[i + 1] ?? ''] as const] : []))
}

const unmarked = (scene: Scene, text: string): string =>
  text
    .replace(/@BOOT@/g, readFileSync(scene.host.path('/proc/sys/kernel/random/boot_id'), 'utf8').trim())
    .replace(/@DEVICE@/g, String(statSync(scene.host.path('/run/netns/web')).dev))
    .replace(/@INODE:(\w+)@/g, (_, name: string) =>
      String(statSync(scene.host.path(scene.get(name).path)).ino),
    )
