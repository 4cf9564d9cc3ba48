/**
 * What is put back while others go on: who takes it away again and again, who is being deleted at that moment, a daemon
 * that was not there.
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { type NatBackend, ownerTag } from '../../src/model/network.ts'
import type { Found } from '../../src/network/reconcile/reconcile.ts'
import { Command } from '../support/daemon.ts'
import { iptablesNft, nftables } from '../support/nat-site.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'
import { Stage } from '../support/takers.ts'

t.setTimeout(600_000)

const FLUSH = { iptables: 'iptables -t nat -F; iptables -t raw -F', nftables: 'nft flush ruleset' } as const
const variantOf = (backend: NatBackend) => (backend === 'nftables' ? nftables : iptablesNft)

/** What is being published is in the records before its rules are in the kernel: it has them once, whoever looks meanwhile. */
async function onceWhilePublishing(t: Test, scene: Scene, tsnet: Command): Promise<void> {
  const { host, backend } = scene
  await tsnet.run('publish', '--mode', 'nat', '8081:80', 'netns:web')
  const [served] = await tsnet.ports()
  await tsnet.run('unpublish', '8081')
  const lock = `/run/tsnet/guest-${served?.nat?.guests[0]?.owner}.lock`
  const busy = host.start('sh', '-c', 'exec 9>"$0"; flock 9; exec sleep 120', lock)
  const isLocked = () =>
    host.run('flock', '-n', lock, 'true', { mayFail: true }).then(({ code }) => code !== 0)
  await waitFor(isLocked, { what: 'publishing to be held up' })
  const publishing = tsnet.run('publish', '--mode', 'nat', '8081:80', 'netns:web')
  await waitFor(async () => (await tsnet.ports()).length === 1, { what: 'it to be written down' })
  await host.run('sh', '-c', FLUSH[backend])
  const found = JSON.parse((await tsnet.try('reconcile', '--json')).stdout) as Found[]
  const [now] = await tsnet.ports()
  const owners = [now?.id, ...(now?.nat?.guests ?? []).map(({ owner }) => owner)]
  for (const { owner, outcome, what } of found)
    if (owners.includes(owner)) t.equal(outcome, 'kept', `who publishes is busy with it: ${what}`)
  await busy.stop('SIGKILL')
  await publishing
  t.equal(
    (await tsnet.run('reconcile', '--dry-run')).stdout,
    'nothing is lacking\n',
    'and no rule is there twice',
  )
  await tsnet.run('unpublish', '8081')
}

for (const backend of BACKENDS) {
  t.test(`${backend}: two that fight over rules do not spin, and the log says so once`, async t => {
    const stage = await Stage.open(t, variantOf(backend))
    const daemon = await stage.tsnet.daemon()
    await stage.attach()
    const script = `for i in $(seq 60); do ${FLUSH[backend]}; sleep 0.03; done`
    await stage.scene.host.run('sh', '-c', script)
    const count = (pattern: RegExp) => daemon.stderr.match(pattern)?.length ?? 0
    const times = count(/put back rules/g)
    t.ok(times > 0 && times <= 4, `it says ${times} times that it put rules back`)
    await t.resolves(stage.isWhole(), 'once the other rests, all comes back')
    t.equal(count(/rules .*somebody takes it away again and again/g), 1)
    await stage.detach()
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })

  t.test(`${backend}: nothing comes back of what is deleted while somebody flushes`, async t => {
    const scene = await Scene.open(backend, 'a', 'b', 'c', 'd')
    t.teardown(() => scene.close())
    const daemon = await new Command(scene.host, backend).daemon()
    const front = scene.network('front', 10, { macspoofchk: true })
    await scene.remember()
    const flusher = scene.host.start('sh', '-c', `while :; do ${FLUSH[backend]}; sleep 0.02; done`)
    const cycle = async (name: string, hostPort: number) => {
      const options = { ports: [{ hostPort, containerPort: 80 }] }
      for (let i = 0; i < 3; i++) {
        // A rule that goes while others are added may make an ADD fail; DEL never does.
        await front.add(scene.get(name), options).catch(() => {})
        await front.delete(scene.get(name), options)
      }
    }
    await Promise.all(['a', 'b', 'c', 'd'].map((name, i) => cycle(name, 8001 + i)))
    for (let i = 0; i < 3; i++) {
      const add = (name: string) => front.add(scene.get(name)).catch(() => {})
      await Promise.all(['a', 'b'].map(add))
      await front.collect([])
    }
    await flusher.stop('SIGKILL')
    t.strictSame(await scene.residue(), [])
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })

  t.test(`${backend}: who is being taken down, or made, gets nothing back meanwhile`, async t => {
    const stage = await Stage.open(t, variantOf(backend))
    const { scene } = stage
    const daemon = await stage.tsnet.daemon()
    await scene.remember()
    await stage.attach()
    const [a, b] = ['a', 'b'].map(containerId => ownerTag({ network: 'front', containerId, ifname: 'eth0' }))
    const rules = () =>
      scene.host.run('sh', '-c', 'nft list ruleset; iptables-save').then(({ stdout }) => stdout)
    const have = (owner = '') => rules().then(text => text.includes(`tsnet:${owner}`))
    const flush = () => scene.host.run('sh', '-c', `${FLUSH[backend]}; nft flush ruleset`)

    const busyWith = async (owner = '') => {
      const lock = `/run/tsnet/${owner}.lock`
      const busy = scene.host.start('sh', '-c', 'exec 9>"$0"; flock 9; exec sleep 120', lock)
      const isLocked = () =>
        scene.host.run('flock', '-n', lock, 'true', { mayFail: true }).then(({ code }) => code !== 0)
      await waitFor(isLocked, { what: `somebody to be busy with ${owner}` })
      return busy
    }
    const busy = await busyWith(a)
    await flush()
    await waitFor(() => have(b), { what: 'the rules of b' })
    t.notOk(await have(a), 'somebody is busy with a')
    await busy.stop('SIGKILL')
    await t.resolves(stage.isWhole(), 'a is looked at when nobody is busy with it any more')

    const becomes = (from: string, to: string) =>
      scene.host.run('sed', '-i', `s/"${from}"/"${to}"/`, `/run/tsnet/attachments/${b}.json`)
    const making = await busyWith(b)
    await becomes('attached', 'attaching')
    await flush()
    await waitFor(() => have(a), { what: 'the rules of a' })
    t.notOk(await have(b), 'b is being made, and has lost what it had by then')
    await becomes('attaching', 'attached')
    await making.stop('SIGKILL')
    await t.resolves(stage.isWhole(), 'b is looked at once it is made')

    await becomes('attached', 'detaching')
    await flush()
    await waitFor(() => have(a), { what: 'the rules of a' })
    t.notOk(await have(b), 'a DEL of b had begun')
    await stage.detach()
    t.strictSame(await scene.residue(), [])
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })

  t.test(`${backend}: what was taken while no daemon ran comes back when one starts`, async t => {
    const stage = await Stage.open(t, variantOf(backend))
    await stage.attach()
    await stage.scene.host.run('sh', '-c', FLUSH[backend])
    await t.rejects(stage.check(), { code: 102 })
    const daemon = await stage.tsnet.daemon()
    await t.resolves(stage.isWhole())
    const successor = await stage.tsnet.daemon('--replace')
    await daemon.finished
    await stage.scene.host.run('sh', '-c', FLUSH[backend])
    await t.resolves(stage.isWhole(), 'and its successor puts back, too')
    await stage.detach()
    t.equal((await successor.stop('SIGTERM')).code, 0)
  })

  t.test(`${backend}: rules of tsnet publish come back, and go with it`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const tsnet = new Command(scene.host, backend)
    const daemon = await tsnet.daemon()
    await scene.remember()
    const front = scene.network('front', 10)
    await front.add(scene.get('web'))
    await onceWhilePublishing(t, scene, tsnet)
    await tsnet.run('publish', '--mode', 'nat', '8080:80', 'netns:web')
    await scene.client.ask('tcp', HOST[4], 8080)
    await scene.host.run('sh', '-c', FLUSH[backend])
    const isServed = () =>
      scene.client.ask('tcp', HOST[4], 8080).then(
        () => true,
        () => false,
      )
    await waitFor(isServed, { what: 'the port to answer again' })
    await tsnet.run('unpublish', '8080')
    t.notOk(await isServed())
    t.equal((await tsnet.run('reconcile', '--dry-run')).stdout, 'nothing is lacking\n')
    await front.delete(scene.get('web'))
    t.strictSame(await scene.residue(), [])
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })
}
