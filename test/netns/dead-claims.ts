/**
 * Ports of a container that went without DEL, which somebody else asks for.
 *
 *     client eth0 ───── lan0 host ─┬─ br1 ─── gone     on net1, ports 8080/tcp and 8053/udp
 *                                  └─ br2 ─── web      on net2, asks for the same
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { answers } from '../support/reach.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'
import { Joining, prepare } from '../support/two-networks.ts'

t.setTimeout(600_000)

/** By whom the dead has its ports. */
const DEAD = ['tsnet', 'chain', 'lost'] as const
/** By whom another asks for them. */
const ASKING = ['tsnet', 'chain', 'publish'] as const

const isTaken = /8080\/tcp is already published for/

for (const backend of BACKENDS) {
  const open = async (t: Test) => {
    const scene = await Scene.open(backend)
    t.teardown(() => scene.close())
    await prepare(scene)
    return scene
  }

  for (const dead of DEAD) {
    for (const asking of ASKING) {
      t.test(`${backend}: what ${dead} has for a container that is gone, ${asking} gets`, async t => {
        const scene = await open(t)
        const [gone, web] = [await scene.container('gone'), await scene.container('web')]
        const kind = dead === 'lost' ? 'tsnet' : dead
        await new Joining(scene, `${kind}/${backend}`, 1, gone).add()
        const asks = await asker(scene, asking)

        await t.rejects(asks(), isTaken, 'the control: it lives')
        t.equal(await answers(scene.client, 'tcp', HOST[4], 8080), 'gone')
        const links = async () => (await scene.host.run('ip', '-o', 'link')).stdout.split('\n').length
        const before = await links()
        await gone.remove()
        if (dead === 'lost') {
          await loseRecords(scene)
          // Nothing else tells that it is gone; the kernel takes it in its own time.
          await waitFor(async () => (await links()) < before, { what: 'its link to go' })
        }
        await asks()
        t.equal(await answers(scene.client, 'tcp', HOST[4], 8080), web.name)
        t.notMatch(await ruleset(scene), /10\.1\.0\.2(:80| : 80| \. 80)/, 'no port leads to where it was')
      })
    }
  }

  t.test(`${backend}: what is lost of a container that lives, nobody gets`, async t => {
    const scene = await open(t)
    const gone = await scene.container('gone')
    await scene.container('web')
    await new Joining(scene, `tsnet/${backend}`, 1, gone).add()
    await loseRecords(scene)
    await t.rejects((await asker(scene, 'tsnet'))(), isTaken)
    t.equal(await answers(scene.client, 'tcp', HOST[4], 8080), 'gone')
  })
}

/** How `web` asks for the ports. @returns what can be tried more than once */
async function asker(scene: Scene, how: (typeof ASKING)[number]): Promise<() => Promise<unknown>> {
  const web = scene.get('web')
  if (how !== 'publish') {
    const joining = new Joining(scene, `${how}/${scene.backend}`, 2, web)
    return async () => {
      try {
        await joining.add()
      } catch (thrown) {
        await joining.deleteAgain()
        throw thrown
      }
    }
  }
  await scene.network('front', 2).add(web)
  const tsnet = new Command(scene.host, scene.backend)
  await tsnet.daemon()
  return () => tsnet.run('publish', '8080:80', 'web')
}

const loseRecords = ({ host }: Scene) =>
  host.run('sh', '-c', 'rm $(grep -l /run/netns/gone /run/tsnet/attachments/*.json)')

async function ruleset({ host }: Scene): Promise<string> {
  const { stdout } = await host.run('sh', '-c', 'nft list ruleset; iptables-save')
  return stdout
}
