/** Which publications a word means. */

import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import { TsnetError } from '../../src/model/errors.ts'
import type { Container, Publication } from '../../src/model/publication/publication.ts'
import { choosePublications } from '../../src/publish/choose.ts'
import { publication } from '../support/publications.ts'
import { longId } from '../support/runtime-files.ts'

let ino = 100
const container = (
  runtime: Container['runtime'],
  name: string,
  more: Partial<Container> = {},
): Container => ({
  runtime,
  id: name,
  name,
  reference: `${runtime}:${name}`,
  netns: { path: `/run/netns/${name}`, dev: 4, ino: ino++ },
  addresses: [],
  ...more,
})

const web = container('docker', 'web', { id: longId('4f2a9c'), asked: '4f2a9c' })
const digits = container('docker', 'digits', { id: longId('8080') })
const pod = container('cri', 'cart', { id: longId('5a'), reference: 'cri:shop/cart', asked: 'shop/cart' })
const process = container('pid', '812', { asked: 'pid:812' })
const plain = container('netns', 'api', { id: '/run/netns/api', asked: 'netns:api' })

let id = 0
const published = (containers: Container[], more: Partial<Publication>): Publication =>
  publication({ id: (id++).toString(16).padStart(16, 'f'), containers, ...more })

const all = {
  web: published([web], { hostPort: 8080, asked: '8080:80' }),
  digits: published([digits], { hostPort: 8081, asked: '8081:80' }),
  any: published([pod], { hostPort: 40_000, asked: '80' }),
  eighty: published([pod], { hostPort: 80, target: { port: 8000 }, asked: '80:8000' }),
  oneOf: published([process], { hostPort: 9003, asked: '9000-9009:90' }),
  range: published([process], { hostPort: 7000, count: 2, target: { port: 70 }, asked: '7000-7001:70-71' }),
  socket: published([process], {
    hostPort: 6000,
    target: { socket: '/run/a.sock' },
    asked: '6000:/run/a.sock',
  }),
  free: published([process], { hostPort: 41_000, target: { socket: '/run/b.sock' }, asked: '/run/b.sock' }),
  local: published([plain], { hostIp: '127.0.0.1' as Ip, hostPort: 42_000, asked: '127.0.0.1::80' }),
  reversed: published([plain], {
    reverse: true,
    hostIp: '127.0.0.1' as Ip,
    hostPort: 8080,
    asked: '8080:80',
  }),
  inside: published([plain], {
    reverse: true,
    hostIp: '127.0.0.1' as Ip,
    hostPort: 5432,
    target: { port: 15_432 },
    asked: '5432:15432',
  }),
  both: published([plain, web], { hostPort: 5000, protocol: 'udp', asked: '5000:50/UDP' }),
}
type Name = keyof typeof all

const nobody = (word: string): Promise<never> =>
  Promise.reject(new TsnetError('unknown-container', `no container answers to ${word}`))

async function chosen(word: string, find: (word: string) => Promise<Container> = nobody): Promise<Name[]> {
  const found = await choosePublications(Object.values(all), [word], find)
  return (Object.keys(all) as Name[]).filter(name => found.includes(all[name]))
}

t.test('whatever publish took means what it published', async t => {
  const expected: [word: string, ...names: Name[]][] = [
    ['8080', 'web'],
    ['8080:80', 'web'],
    ['8080:80/tcp', 'web'],
    ['5000/udp', 'both'],
    ['5000:50/UDP', 'both'],
    ['9000-9009:90', 'oneOf'],
    ['9003', 'oneOf'],
    ['7000-7001', 'range'],
    ['7000-7001:70-71', 'range'],
    ['6000:/run/a.sock', 'socket'],
    ['/run/b.sock', 'free'],
    ['127.0.0.1::80', 'local'],
    ['127.0.0.1:42000', 'local'],
    ['4f2a9c', 'web', 'both'],
    ['web', 'web', 'both'],
    ['docker:web', 'web', 'both'],
    [longId('4f2a9c'), 'web', 'both'],
    ['4f2a', 'web', 'both'],
    ['docker:4f2a', 'web', 'both'],
    ['shop/cart', 'any', 'eighty'],
    ['cri:shop/cart', 'any', 'eighty'],
    ['cart', 'any', 'eighty'],
    ['pid:812', 'oneOf', 'range', 'socket', 'free'],
    ['netns:api', 'local', 'reversed', 'inside', 'both'],
    ['5432', 'inside'],
    ['5432:15432', 'inside'],
    ['127.0.0.1:8080', 'reversed'],
    ['netns:api,4f2a9c', 'both'],
    [all.any.id, 'any'],
  ]
  for (const [word, ...names] of expected) t.same(await chosen(word), names, word)
})

t.test('a host port comes before the port as it was written, and before the beginning of an id', async t => {
  t.same(await chosen('80'), ['eighty'])
  t.same(await chosen('8081'), ['digits'])
  await t.rejects(chosen('8082'), { code: 'unknown-container' })
  await t.rejects(chosen('808'), { code: 'unknown-container' }, 'a number is the beginning of no id')
})

t.test('another name of the same container means it while it runs', async t => {
  const asked: string[] = []
  const find = async (word: string) => {
    asked.push(word)
    return word === 'containerd:task' ? container('containerd', 'task', { netns: pod.netns }) : nobody(word)
  }
  t.same(await chosen('containerd:task', find), ['any', 'eighty'])
  t.same(await chosen('web', find), ['web', 'both'])
  t.same(asked, ['containerd:task'], 'and nobody is asked where the word says it')
  await t.rejects(chosen('other', find), {
    code: 'unknown-container',
    message: 'nothing is published as or for "other"',
    details: 'no container answers to other',
  })
})
