/**
 * What a call changes among files is its own: wherever names of a call could lead that the grammar allows, nothing is
 * made, written, renamed or removed but in the folders of leases and records, in settings of the network, and the lock of
 * iptables. strace says what was changed.
 */

import { resolve } from 'node:path'
import t from 'tap'
import { EXECUTABLE } from '../support/daemon.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { ANSWERS, BACKENDS, Scene } from '../support/scene.ts'

const OURS =
  /^\/(run\/tsnet|var\/lib\/cni\/networks|proc\/sys\/net)(\/|$)|^\/run\/xtables\.lock$|^\/dev\/null$/

const CALLS =
  'open,openat,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,truncate,chmod,fchmodat,mknodat,mount'

/** Names with all that the grammar has. */
const CONTAINER = 'web..-_.'
const NETWORK = 'front..__.-'

/** What was changed, from what strace said: a path, or a name within a descriptor's folder. */
function changedIn(trace: string): string[] {
  return [...trace.matchAll(/^(?:\[pid +\d+\] )?(\w+)\((.*)\) += (?!-1|\?)/gm)]
    .filter(([, call = '', words = '']) => !/^open/.test(call) || /O_(WRONLY|RDWR|CREAT|TRUNC)/.test(words))
    .flatMap(([, , words = '']) => [...words.matchAll(/(?:<([^>]*)>, )?"([^"]*)"/g)])
    .map(([, folder = '/', path = '']) => resolve(folder, path))
}

for (const backend of BACKENDS) {
  t.test(`${backend}: a call changes files of its own alone, however it is named`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const { config } = scene.network('front', 10, { name: NETWORK, macspoofchk: true })
    const portMappings = [{ hostPort: 8080, containerPort: ANSWERS, protocol: 'tcp' }]
    const call = async (command: string, more: object = {}) => {
      const { stdout, stderr } = await scene.host.run(
        ...[
          'strace',
          '-f',
          '--seccomp-bpf',
          '-y',
          '-qqq',
          '-e',
          'signal=none',
          '-e',
          `trace=${CALLS}`,
          EXECUTABLE,
        ],
        {
          env: {
            ...NO_DAEMON,
            CNI_COMMAND: command,
            CNI_CONTAINERID: CONTAINER,
            CNI_NETNS: scene.get('web').path,
            CNI_IFNAME: 'eth0..',
            CNI_PATH: '/nowhere',
            TSNET_NAT: backend,
          },
          stdin: JSON.stringify({ ...config, runtimeConfig: { portMappings }, ...more }),
        },
      )
      return { stdout, changed: changedIn(stderr) }
    }
    const foreign = (changed: string[]) => changed.filter(path => !OURS.test(path))

    const added = await call('ADD')
    t.ok(added.changed.length > 5, `${added.changed.length} changes`)
    t.strictSame(foreign(added.changed), [], 'ADD')
    t.strictSame((await call('CHECK', { prevResult: JSON.parse(added.stdout) })).changed.filter(isKept), [])
    const deleted = await call('DEL')
    t.ok(deleted.changed.length > 3, `${deleted.changed.length} changes`)
    t.strictSame(foreign(deleted.changed), [], 'DEL')
    t.strictSame(foreign((await call('GC', { 'cni.dev/valid-attachments': [] })).changed), [], 'GC')

    const elsewhere = { ipam: { ...(config.ipam as object), dataDir: '/run/elsewhere' } }
    const seen = foreign((await call('ADD', elsewhere)).changed)
    t.ok(
      seen.length > 0 && seen.every(path => path.startsWith('/run/elsewhere')),
      'control: leases elsewhere are seen',
    )
    await call('DEL', elsewhere)
    await scene.host.run('rm', '-r', '/run/elsewhere')
    t.strictSame(await scene.residue(), [])
  })
}

/** Who only looks takes locks, and changes nothing else. */
const isKept = (path: string): boolean => !/\.lock$|\/lock$|^\/dev\/null$/.test(path)
