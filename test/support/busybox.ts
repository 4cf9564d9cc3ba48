/**
 * A root filesystem of busybox alone: what the containers of these tests run.
 */

import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from 'tsnet/lab'

/** Who has a page. */
const NAMES = ['web', 'db', 'shop']

/** The command of a web server that tells at /cgi-bin/who: `web saw 192.0.2.2`. */
export const webServer = (name: string): string[] => `/bin/busybox httpd -f -p 80 -h /www/${name}`.split(' ')

// httpd has IPv4 clients as [::ffff:192.0.2.2].
const page = (name: string) => `#!/bin/sh
printf 'content-type: text/plain\\r\\n\\r\\n${name} saw '
echo "$REMOTE_ADDR" | busybox sed 's/[][]//g; s/^::ffff:\\([0-9.]*\\)$/\\1/'
`

const ROOTFS = '/srv/rootfs'

/** Gives a host a /srv of its own with an image, once for all its runtimes. @returns where its tar is */
export async function imageOn(host: Host): Promise<string> {
  const tar = '/srv/image.tar'
  if (existsSync(host.path(ROOTFS))) return tar
  await host.tmpfs('/srv')
  makeRootFilesystem(host.path(ROOTFS))
  await host.run('tar', '-C', ROOTFS, '-cf', tar, '.')
  return tar
}

/** Fills a folder, with the mount points that runtimes need. */
export function makeRootFilesystem(folder: string): void {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp'])
    mkdirSync(join(folder, name), { recursive: true })
  copyFileSync('/bin/busybox', join(folder, 'bin/busybox'))
  symlinkSync('busybox', join(folder, 'bin/sh'))
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  for (const name of NAMES) {
    const folderOfPage = join(folder, 'www', name, 'cgi-bin')
    mkdirSync(folderOfPage, { recursive: true })
    writeFileSync(join(folderOfPage, 'who'), page(name), { mode: 0o755 })
  }
}
