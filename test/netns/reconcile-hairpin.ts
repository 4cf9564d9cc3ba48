/**
 *     host ─┬─ br-front ─── web, attached by us
 *           └─ br0 ──────── db, behind a bridge of somebody else's
 *
 * Hairpin mode that a publication has turned on is left on, comes back, and goes with the publication.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { portSetting } from '../support/bridge-port.ts'
import { Command } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

/** A bridge with a container, as another tool would make them. */
const FOREIGN = `
  ip link add br0 type bridge && ip link add vethdb type veth peer name eth0 netns db
  # No address that comes a while later.
  ip link set br0 addrgenmode none && ip link set vethdb addrgenmode none && ip -n db link set eth0 addrgenmode none
  ip addr add 10.99.0.1/24 dev br0 && ip link set br0 up && ip link set vethdb master br0 up
  ip -n db addr add 10.99.0.2/24 dev eth0 && ip -n db link set eth0 up && ip -n db route add default via 10.99.0.1`

t.test(
  'hairpin mode of a published port is no difference, and comes back where it is turned off',
  async t => {
    const scene = await Scene.open('nftables', 'web', 'db')
    t.teardown(() => scene.close())
    const { host } = scene
    await host.run('sh', '-ec', FOREIGN)
    await scene.remember()
    const front = scene.network('front', 10)
    const result = await front.add(scene.get('web'))
    const ours = (await host.run('ls', '/sys/class/net/br-front/brif')).stdout.trim()
    const ports = { web: ours, 'netns:db': 'vethdb' }
    const tsnet = new Command(host, 'nftables')
    const hairpin = (port: string) => portSetting(host, port, 'hairpin')
    const turn = (port: string, to: string) => host.run('bridge', 'link', 'set', 'dev', port, 'hairpin', to)
    const reconciled = async (...options: string[]) =>
      JSON.parse((await tsnet.run('reconcile', '--json', ...options)).stdout)
    const daemon = await tsnet.daemon()
    let hostPort = 8080
    for (const container of Object.keys(ports))
      await tsnet.run('publish', '--mode', 'nat', `${hostPort++}:80`, container)

    for (const port of Object.values(ports)) {
      t.equal(await hairpin(port), 'on', port)
      t.strictSame(await reconciled('--dry-run'), [], 'nothing lacks')
      await front.check(scene.get('web'), result)
      await turn(port, 'off')
      const isBack = async () => (await hairpin(port)) === 'on'
      await t.resolves(waitFor(isBack, { what: `hairpin mode of ${port}` }))
    }
    // Whatever else is mended of a port leaves it.
    await host.run('ip', 'link', 'set', ours, 'down')
    const isUp = async () => (await host.run('ip', 'link', 'show', ours)).stdout.includes('state UP')
    await waitFor(isUp, { what: 'the port to be up' })
    t.equal(await hairpin(ours), 'on')
    t.match(daemon.stderr, /put back hairpin mode: hairpin mode of vethdb is off/)

    await tsnet.run('unpublish', '--all')
    for (const port of Object.values(ports)) t.equal(await hairpin(port), 'off', `${port}, as it was`)
    t.equal((await daemon.stop('SIGTERM')).code, 0)
    await turn('vethdb', 'on')
    t.strictSame(await reconciled(), [], 'what somebody else has turned on is theirs')
    await turn('vethdb', 'off')
    await front.delete(scene.get('web'))
    t.strictSame(await scene.residue(), [])
  },
)
