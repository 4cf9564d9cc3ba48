/**
 * The drop-in `bridge`, killed by strace at messages to the kernel and at renames: DEL leaves nothing, with the
 * namespace or without, and the next ADD finds the way clear. The control: some of these kills leave something.
 */

import t from 'tap'
import { openStages } from '../support/bridge-role.ts'
import { environmentOf, folders } from '../support/drop-in.ts'

t.setTimeout(600_000)

const SIGKILL = 137

const config = {
  bridge: 'br7',
  isGateway: true,
  ipMasq: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.1.2.0/24' }]] },
}

/** Every nth call is a place to die. */
const STRIDE = { sendto: 1, rename: 1, link: 1 }

t.test('killed on its way, it is taken back by DEL, and the next ADD succeeds', async t => {
  const { ours: stage } = await openStages(t)
  const web = await stage.container('web')
  const residue = async () => [
    ...(await stage.links()),
    ...(await stage.rules()),
    ...(await stage.lines(
      'sh',
      '-c',
      'find /run/tsnet /var/lib/cni -type f 2>/dev/null | grep -v "last_reserved_ip\\|/lock$" | sort',
    )),
    (await web.run('ip', '-o', 'link')).stdout,
  ]
  await stage.call('ADD', web, config)
  await stage.call('DEL', web, config)
  const before = await residue()

  const killedAt = async (call: string, nth: number): Promise<boolean> => {
    const asked = { plugin: 'bridge', command: 'ADD', config, containerId: web.name, netns: web.path }
    const options = ['-f', '-qqq', '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${nth}`]
    const done = await stage.host.run('strace', ...options, `${folders.tsnet}/bridge`, {
      env: environmentOf('tsnet', asked),
      stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ...config }),
      mayFail: true,
    })
    return done.code === SIGKILL
  }

  let halfDone = 0
  for (const [call, stride] of Object.entries(STRIDE)) {
    let kills = 0
    for (let nth = 1; await killedAt(call, nth); nth += stride) {
      kills++
      const left = await residue()
      if (JSON.stringify(left) !== JSON.stringify(before)) halfDone++
      t.same(await stage.call('DEL', kills % 2 === 0 ? web : 'web', config), { code: 0 })
      t.same(await residue(), before, `${call} ${nth}`)
    }
    t.ok(kills > 0, `${call}: ${kills} places`)
    // The last one was not killed, and has succeeded.
    t.same(await stage.call('DEL', web, config), { code: 0 })
    t.same(await residue(), before)
  }
  t.ok(halfDone > 3, `${halfDone} kills left something`)
})
