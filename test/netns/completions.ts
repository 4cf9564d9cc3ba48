/** A real bash with what `tsnet install` gives it completes what there is on a host, and nothing that a shell would run. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { lab } from 'tsnet/lab'
import { commands } from '../../src/cli/cli.ts'
import { describeCommands } from '../../src/cli/manual/manual.ts'
import { bashCompletion } from '../../src/install/completions.ts'

t.setTimeout(600_000) // on a busy machine

const PATH = `/srv/bin:${process.env.PATH}:/usr/sbin:/sbin`

t.test('networks, containers and ports of this host', async t => {
  await using world = await lab()
  const host = await world.host('host')
  await host.tmpfs('/srv')
  mkdirSync(host.path('/srv/bin'))
  const program = commands({ out() {}, error() {}, lively: false, livelyErrors: false })
  writeFileSync(host.path('/srv/completion'), bashCompletion(describeCommands(program)))
  const shell = async (script: string) =>
    (await host.run('bash', '-ec', script, { env: { PATH, CNI_PATH: resolve('dist/bin') } })).stdout.trim()
  await shell(`
    ln -s ${resolve('dist/bin/tsnet')} /srv/bin/tsnet
    ip netns add web
    tsnet network create front
    tsnet network create back
    tsnet attach front netns:web -p 8081:81/udp
    tsnet publish 8080:80 netns:web
    echo '{ "cniVersion": "1.0.0", "name": "x$(touch /srv/bad)", "plugins": [{ "type": "bridge" }] }' >/etc/cni/net.d/99.conflist
  `)
  const complete = (...words: string[]) =>
    shell(
      `source /srv/completion; COMP_WORDS=(tsnet ${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _tsnet; echo "\${COMPREPLY[@]}"`,
    )
  t.equal(await complete('network', 'rm', 'fr'), 'front')
  t.equal(await complete('attach', 'back', 'w'), 'web')
  t.equal(await complete('detach', 'front', 'w'), 'web')
  t.equal(await complete('unpublish', '80'), '8080')
  t.equal(await complete('trace', '80'), '8080 8081/udp')
  t.equal(await complete('doctor', 'w'), 'web')
  t.equal(await complete('doctor', 'x'), '', 'a name that a shell would run is not offered')
  t.equal(await shell('ls /srv/bad 2>&1 || true').then(said => /cannot access/.test(said)), true)
  await shell('tsnet unpublish 8080; tsnet network rm --force front back')
})
