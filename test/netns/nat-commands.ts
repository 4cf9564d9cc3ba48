/**
 * How often iptables is run. Each command takes ten milliseconds, more than all else that an ADD does. What its
 * nft variant made, a DEL deletes over nfnetlink.
 */

import t from 'tap'
import type { Host } from 'tsnet/lab'
import { Scene } from '../support/scene.ts'

const FOLDER = '/run/counted'
const TOOLS = ['iptables-restore', 'ip6tables-restore', 'iptables-save', 'ip6tables-save']

/** Puts commands before the real ones that write down their names. @returns the PATH to use */
async function count(host: Host): Promise<string> {
  const stdin = `#!/bin/sh\necho "\${0##*/}" >>${FOLDER}/log\nPATH=/usr/sbin:/usr/bin exec "\${0##*/}" "$@"\n`
  const script = `mkdir ${FOLDER}; cat >${FOLDER}/it; for tool in ${TOOLS.join(' ')}; do cp ${FOLDER}/it ${FOLDER}/$tool; done; chmod +x ${FOLDER}/*tables-*; : >${FOLDER}/log`
  await host.run('sh', '-c', script, { stdin })
  return `${FOLDER}:${process.env.PATH}`
}

t.setTimeout(600_000)

t.test('one command a family for each ADD and none for a DEL, the first and the last too', async t => {
  const scene = await Scene.open('iptables', 'a', 'b')
  t.teardown(() => scene.close())
  const { host } = scene
  const PATH = await count(host)
  const call = (port: number) => ({ env: { PATH }, ports: [{ hostPort: port, containerPort: 80 }] })
  const ran = async () => {
    const { stdout } = await host.run('sh', '-c', `sort ${FOLDER}/log; : >${FOLDER}/log`)
    return stdout.split('\n').filter(line => line !== '')
  }
  const both = ['ip6tables-restore', 'iptables-restore']
  const front = scene.network('front', 10)
  await front.add(scene.get('a'), call(8001))
  t.same(await ran(), both, 'the first ADD')
  await front.add(scene.get('b'), call(8002))
  t.same(await ran(), both, 'an ADD')
  await front.delete(scene.get('b'), call(8002))
  t.same(await ran(), [], 'a DEL')
  await front.delete(scene.get('a'), call(8001))
  t.same(await ran(), [], 'the last DEL')
  await host.run('rm', '-r', FOLDER)
  t.same(await scene.residue(), [])
})

t.test('an ADD reads none of the rules of others', async t => {
  const scene = await Scene.open('iptables', 'a', 'b')
  t.teardown(() => scene.close())
  const { host } = scene
  const front = scene.network('front', 10)
  await front.add(scene.get('a'), { ports: [{ hostPort: 8001, containerPort: 80 }] })
  // What strace shows of a message are its first attributes: table and chain that are asked for.
  const script = `#!/bin/sh\nexec strace -qq -e trace=sendto -e signal=none -o ${FOLDER}/log -A /usr/sbin/"\${0##*/}" "$@"\n`
  await host.run('sh', '-c', `mkdir ${FOLDER}; cat >${FOLDER}/iptables-restore; chmod +x ${FOLDER}/*`, {
    stdin: script,
  })
  const env = { PATH: `${FOLDER}:${process.env.PATH}` }
  await front.add(scene.get('b'), { env, ports: [{ hostPort: 8002, containerPort: 80 }] })
  const { stdout } = await host.run('cat', `${FOLDER}/log`)
  t.match(stdout, /NFT_MSG_GETCHAIN/)
  t.notMatch(stdout, /NFT_MSG_GETRULE/)
})
