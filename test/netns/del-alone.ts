/** What the last container of a host takes along, and in what order. */

import t from 'tap'
import { Scene } from '../support/scene.ts'

const FOLDER = '/run/traced'
const SETTING = 'net.ipv4.ip_forward'

t.setTimeout(600_000)

t.test(
  'forwarding ends before a link is deleted, since a write spins while the kernel is at that',
  async t => {
    const scene = await Scene.open('nftables', 'a')
    t.teardown(() => scene.close())
    const { host } = scene
    await host.run('sysctl', '-qw', `${SETTING}=0`)
    const front = scene.network('front', 10)
    await front.add(scene.get('a'))
    t.equal((await host.run('sysctl', '-n', SETTING)).stdout.trim(), '1')
    const script = `#!/bin/sh\nexec strace -f -y -qq -e trace=write,sendto -e signal=none -o ${FOLDER}/log ${process.execPath} "$@"\n`
    await host.run('sh', '-c', `mkdir ${FOLDER}; cat >${FOLDER}/node; chmod +x ${FOLDER}/node`, {
      stdin: script,
    })
    await front.delete(scene.get('a'), { env: { PATH: `${FOLDER}:${process.env.PATH}` } })
    const { stdout } = await host.run('cat', `${FOLDER}/log`)
    const order = stdout
      .split('\n')
      .flatMap(line => /write\(\d+<[^>]*\/ip_forward>|RTM_DELLINK/.exec(line)?.[0].replace(/.*\//, '') ?? [])
    // A write is begun anew while anybody on this machine deletes a link: that can be another test.
    t.same(
      order.filter((each, at) => each !== order[at - 1]),
      ['ip_forward>', 'RTM_DELLINK'],
    )
    t.equal((await host.run('sysctl', '-n', SETTING)).stdout.trim(), '0')
    await host.run('rm', '-r', FOLDER)
    t.same(await scene.residue(), [])
  },
)
