/**
 * Whether a container can be reached by its own address while it comes and goes, and while one daemon follows another: a
 * client of the host's network sends to it every millisecond. The pool has one address, so it is always the same.
 *
 * The control: once somebody flushes the rules, it gets through.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { Attacker } from '../support/exposure.ts'
import { extent } from '../support/extent.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(extent(600_000, 1_800_000))

const CYCLES = extent(6, 200)
const SUCCESSORS = extent(2, 20)
const ADDRESS = '10.10.0.2'
const ports = [{ hostPort: 8080, containerPort: ANSWERS }]

for (const backend of BACKENDS) {
  t.test(
    `${backend}: nobody gets through while containers come and go and daemons follow each other`,
    async t => {
      const scene = await Scene.open(backend, 'a')
      t.teardown(() => scene.close())
      const ipam = { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/30' }]] }
      const front = scene.network('front', 10, { ipam })
      await scene.client.run('ip', 'route', 'add', '10.10.0.0/16', 'via', HOST[4])
      const attacker = new Attacker(scene.client, ADDRESS, ANSWERS)
      const add = () => front.add(scene.get('a'), { ports })
      const remove = () => front.delete(scene.get('a'), { ports })
      for (let i = 0; i < CYCLES; i++) {
        await add()
        await remove()
      }
      const tsnet = new Command(scene.host, backend)
      let daemon = await tsnet.daemon()
      for (let i = 0; i < CYCLES; i++) {
        await add()
        await remove()
      }
      await add()
      for (let i = 0; i < SUCCESSORS; i++) {
        const successor = await tsnet.daemon('--replace')
        await daemon.finished
        daemon = successor
      }
      t.equal((await attacker.settled()).length, 0)
      t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'a', 'what is published is open')
      await daemon.stop('SIGKILL')
      t.equal((await attacker.settled()).length, 0, 'nor without a daemon')
      await scene.host.run('nft', 'flush', 'ruleset')
      await waitFor(() => attacker.times.length > 0, { what: 'control: the attacker to get through' })
      await attacker.end()
      await remove()
      await scene.host.run('rm', '-rf', '/run/tsnet')
      t.comment(
        `figure: packets to a container past its guards, ${backend}: 0 in ${2 * CYCLES} ADDs and DELs and ${SUCCESSORS} successors, one sent every ms`,
      )
    },
  )
}
