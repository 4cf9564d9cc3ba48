/**
 * An image made of busybox alone, as an OCI archive: registries are not reached.
 */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A process that does nothing: so an image serves as a pod's pause image too. */
const PAUSE = ['/bin/busybox', 'sleep', '1000000']

/**
 * Writes an OCI archive of a root filesystem.
 * @param work an empty folder for the parts
 * @param runs what it runs by itself
 */
export function writeImage(
  rootFilesystem: string,
  name: string,
  work: string,
  archive: string,
  runs: readonly string[] = PAUSE,
): void {
  const blobs = join(work, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const layer = execFileSync('tar', ['-C', rootFilesystem, '-c', '.'], { maxBuffer: 1 << 26 })
  const put = (content: Buffer | object) => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
    const digest = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(join(blobs, digest), bytes)
    return { digest: `sha256:${digest}`, size: bytes.length }
  }
  const kind = (what: string) => `application/vnd.oci.image.${what}`
  const stored = put(layer)
  const config = put({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: runs },
    rootfs: { type: 'layers', diff_ids: [stored.digest] },
  })
  const manifest = put({
    schemaVersion: 2,
    mediaType: kind('manifest.v1+json'),
    config: { mediaType: kind('config.v1+json'), ...config },
    layers: [{ mediaType: kind('layer.v1.tar'), ...stored }],
  })
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        mediaType: kind('manifest.v1+json'),
        ...manifest,
        annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
      },
    ],
  }
  writeFileSync(join(work, 'index.json'), JSON.stringify(index))
  writeFileSync(join(work, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  execFileSync('tar', ['-C', work, '-cf', archive, 'oci-layout', 'index.json', 'blobs'])
}
