/** The list that what was seen of a container would need. */

import t from 'tap'
import { NEEDS_MAX, type Need, Needs } from '../../../src/cli/egress/needs.ts'
import type { Ip } from '../../../src/model/address/address.ts'
import type { NamePattern } from '../../../src/model/address/name-pattern.ts'
import { isOfNetwork, readEntry } from '../../../src/model/address/reach.ts'

function need(to: string, entry: string, mayBeNamed = true): Need {
  const permission = readEntry(entry)
  if (typeof permission === 'string' || isOfNetwork(permission)) throw new Error(entry)
  return { to: to as Ip, permission, mayBeNamed }
}

function listOf(needs: Need[], names: Record<string, string[]> = {}): string[] {
  const all = new Needs()
  for (const each of needs) all.add(each)
  return all.list(ip => names[ip] ?? [])
}

t.test('an address is printed by all names that led there, and by itself where none did', async t => {
  t.strictSame(
    listOf(
      [
        need('192.0.2.1', '192.0.2.1:443'),
        need('192.0.2.1', '192.0.2.1:80'),
        need('2001:db8::1', '[2001:db8::1]:443'),
        need('192.0.2.2', '192.0.2.2:53/udp'),
      ],
      { '192.0.2.1': ['www.example.org', 'cdn.example.org'], '2001:db8::1': ['www.example.org'] },
    ),
    [
      '192.0.2.2:53/udp',
      'cdn.example.org:443/tcp',
      'cdn.example.org:80/tcp',
      'www.example.org:443/tcp',
      'www.example.org:80/tcp',
    ],
  )
})

t.test('of what was begun before, the entry of its list is printed', async t => {
  const all = new Needs()
  all.add(need('192.0.2.1', '192.0.2.1:443'))
  all.add(need('192.0.2.2', '192.0.2.2:443'))
  const listed = new Map([
    ['192.0.2.1' as Ip, '*.example.org' as NamePattern],
    ['192.0.2.2' as Ip, '*.example.org' as NamePattern],
  ])
  t.strictSame(
    all.list(ip => (ip === '192.0.2.2' ? ['www.example.org'] : []), listed),
    ['*.example.org:443/tcp', 'www.example.org:443/tcp'],
  )
})

t.test('where a name would allow nothing the address is printed', async t => {
  t.strictSame(
    listOf([need('10.1.0.9', '10.1.0.9:80', false)], { '10.1.0.9': ['www.example.org'] }),
    ['10.1.0.9:80/tcp'],
    'it is near, or its network tells no names',
  )
})

t.test('what was asked for is anything: no entry comes of what is no name of one host', async t => {
  const odd = ['*.org', '*.example.org', '*', 'web', 'dns', 'host', '10.0.0.0/8', 'a b.example.org', '']
  for (const each of [...odd, 'x.example.org:1-65535', 'network:front', '192.0.2.77', 'a.1', '"],["x.y'])
    t.strictSame(
      listOf([need('192.0.2.1', '192.0.2.1:443')], { '192.0.2.1': [each] }),
      ['192.0.2.1:443/tcp'],
      each,
    )
})

t.test('nothing is printed that another entry means already', async t => {
  const dns = need('10.1.0.1', 'dns', false)
  t.strictSame(listOf([dns, need('192.0.2.1', '192.0.2.1:443')]), ['192.0.2.1:443/tcp', 'dns'])
  t.strictSame(
    listOf([dns, need('192.0.2.1', '192.0.2.1:443')], { '192.0.2.1': ['www.example.org'] }),
    ['www.example.org:443/tcp'],
    'a list with names has dns',
  )
  t.strictSame(
    listOf([
      need('192.0.2.1', '192.0.2.1:443'),
      need('192.0.2.1', '192.0.2.1'),
      need('192.0.2.1', '192.0.2.1:443'),
    ]),
    ['192.0.2.1'],
    'all of an address has its ports',
  )
})

t.test('so much is kept and no more, and it is known that there was', async t => {
  const needs = new Needs()
  const add = (n: number) => {
    const ip = `198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`
    needs.add(need(ip, `${ip}:80`))
  }
  for (let n = 0; n < NEEDS_MAX; n++) add(n)
  add(0)
  t.notOk(needs.isCut)
  add(NEEDS_MAX)
  t.ok(needs.isCut)
})
