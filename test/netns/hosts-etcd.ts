/**
 * The conversation with etcd, and what a membership makes of it, against a real one: what it does when it is killed,
 * loses its data, changes its leader, forgets what a watch needs, or wants to know who we are.
 *
 *     members ──▶ 127.0.0.1 ── etcd (one, or three)
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir, uptime } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { type Claim, claim, readView } from '../../src/hosts/claim.ts'
import { Etcd } from '../../src/hosts/etcd/etcd.ts'
import { keysOf, type Layout } from '../../src/hosts/keys.ts'
import type { Member } from '../../src/hosts/members.ts'
import { Membership } from '../../src/hosts/membership.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import type { EtcdOptions } from '../../src/model/hosts/hosts.ts'
import { etcdServer, freePorts } from '../support/etcd.ts'

const layout: Layout = {
  pools: [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 }],
  carrier: 'vxlan',
  port: 4789,
}
const keys = keysOf('/tsnet', 'front')

interface Host extends AsyncDisposable {
  id: string
  claims: (Claim | undefined)[]
  members: Member[]
  lines: string[]
  membership: Membership
  etcd: Etcd
}

/** Ends all that it was given, the last one first. Node 20 has none of its own. */
class Together implements AsyncDisposable {
  readonly #ends: (() => unknown)[] = []

  use<T extends AsyncDisposable>(each: T): T {
    this.defer(() => each[Symbol.asyncDispose]())
    return each
  }

  defer(end: () => unknown): void {
    this.#ends.push(end)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.reverse()) await end()
  }
}

/** A host as its daemon would be. */
function hostAt(
  n: number,
  options: EtcdOptions,
  more: { routesKeptS?: number; prefixKeptS?: number; instance?: string; pools?: Layout['pools'] } = {},
): Host {
  const id = (n + 1).toString(16).padStart(16, '0')
  const etcd = new Etcd(options, 1_000)
  const { routesKeptS = 60, prefixKeptS = 600, instance = 'boot', pools = layout.pools } = more
  const word = {
    name: `host${n}`,
    addresses: [parseIp(`10.0.${n >> 8}.${(n & 255) + 1}`)],
    mac: `06:00:00:00:00:${n.toString(16).padStart(2, '0')}`,
    instance,
  }
  const host: Host = {
    id,
    claims: [],
    members: [],
    lines: [],
    etcd,
    membership: new Membership({
      store: etcd,
      keys,
      self: { id, layout: { ...layout, pools }, word, routesKeptS, prefixKeptS, beatMs: 300 },
      clock: () => uptime() * 1_000,
      pause: ms => sleep(ms),
      random: Math.random,
      changed: () => {
        host.members = host.membership.members
      },
      claimed: claim => host.claims.push(claim),
      log: line => host.lines.push(line),
    }),
    async [Symbol.asyncDispose]() {
      await host.membership.end()
      etcd[Symbol.dispose]()
    },
  }
  host.membership.begin()
  return host
}

const optionsOf = (endpoints: string[]): EtcdOptions => ({ endpoints, keys: '/tsnet' })
const numbersOf = (hosts: readonly Host[]) => hosts.map(({ claims }) => claims.at(-1)?.number)

/** Each knows all others. */
const isComplete = (hosts: readonly Host[]): boolean =>
  hosts.every(host => {
    const others = hosts.filter(other => other !== host)
    return others.every(other =>
      host.members.some(({ id, number }) => id === other.id && number === other.claims.at(-1)?.number),
    )
  }) && hosts.every(({ members }) => members.length === hosts.length - 1)

const complete = (hosts: readonly Host[], what: string): Promise<unknown> =>
  waitFor(() => isComplete(hosts), { withinMs: 120_000, what })

t.test('fifty hosts that come at once have a prefix each, and each knows all others', async t => {
  await using server = await etcdServer()
  await using stack = new Together()
  const hosts = Array.from({ length: 50 }, (_, n) => stack.use(hostAt(n, optionsOf(server.endpoints))))
  await complete(hosts, 'all know each other')
  t.equal(new Set(numbersOf(hosts)).size, 50)
})

t.test('two hundred that claim at once have a prefix each', async t => {
  await using server = await etcdServer()
  // Its limit is none of this test's: all of them share two processors with one etcd.
  using etcd = new Etcd(optionsOf(server.endpoints), 60_000)
  const claims = await Promise.all(
    Array.from({ length: 200 }, (_, n) =>
      claim({
        store: etcd,
        keys,
        self: {
          id: (n + 1).toString(16).padStart(16, '0'),
          layout,
          word: {
            name: `host${n}`,
            addresses: [parseIp(`10.0.0.${n + 1}`)],
            mac: `06:00:00:00:00:${n.toString(16).padStart(2, '0')}`,
            instance: 'boot',
          },
          routesKeptS: 60,
          prefixKeptS: 600,
          beatMs: 300,
        },
        clock: () => uptime() * 1_000,
        pause: ms => sleep(ms),
        random: Math.random,
      }),
    ),
  )
  t.equal(new Set(claims.map(({ number }) => number)).size, 200)
  const view = await readView(etcd, keys)
  t.equal(view.claims.size, 200)
  t.ok(
    [...view.hosts].every(([id, { value }]) => view.claims.get(value.number)?.value === id),
    'the prefix that each speaks of is its own',
  )
})

t.test(
  'etcd that is killed and comes back, with its data or without, changes nothing of who is there',
  async t => {
    await using server = await etcdServer()
    await using stack = new Together()
    const hosts = [0, 1, 2].map(n => stack.use(hostAt(n, optionsOf(server.endpoints))))
    await complete(hosts, 'all know each other')
    const before = numbersOf(hosts)
    const least = hosts.map(({ members }) => members.length)
    for (const host of hosts) {
      const changed = setInterval(() => {
        least[hosts.indexOf(host)] = Math.min(least[hosts.indexOf(host)] ?? 0, host.members.length)
      }, 5)
      stack.defer(() => clearInterval(changed))
    }
    for (const isLost of [false, true]) {
      await server.kill()
      await waitFor(() => hosts.every(({ membership }) => membership.state.trouble !== undefined), {
        withinMs: 20_000,
        what: 'trouble is said',
      })
      if (isLost) server.lose()
      await server.start()
      await waitFor(() => hosts.every(({ membership }) => membership.state.trouble === undefined), {
        withinMs: 20_000,
        what: 'all is well',
      })
      await complete(hosts, 'all know each other again')
      await waitFor(
        async () =>
          (await server.ctl('get', '--prefix', '--keys-only', keys.all)).match(/hosts/g)?.length === 3,
        { withinMs: 20_000, what: 'all is written again' },
      )
    }
    t.strictSame(numbersOf(hosts), before)
    t.strictSame(least, [2, 2, 2], 'nobody was gone for a moment')
  },
)

t.test(
  'the time of day jumps by a day, forward and back: nobody goes, and who comes and goes is known',
  async t => {
    const { now } = Date
    t.teardown(() => {
      Date.now = now
    })
    await using server = await etcdServer()
    await using stack = new Together()
    const times = { routesKeptS: 3, prefixKeptS: 8 }
    const hosts = [0, 1].map(n => stack.use(hostAt(n, optionsOf(server.endpoints), times)))
    await complete(hosts, 'both are there')
    const before = numbersOf(hosts)
    for (const days of [1, -1]) {
      Date.now = () => now() + days * 86_400_000
      const comes = hostAt(2, optionsOf(server.endpoints), times)
      await complete([...hosts, comes], 'a third one')
      await comes[Symbol.asyncDispose]()
      await complete(hosts, 'and it is gone, and nobody else')
      t.strictSame(numbersOf(hosts), before)
    }
  },
)

t.test('a compaction during a break loses nothing: who came and who went meanwhile is known', async t => {
  await using server = await etcdServer()
  await using stack = new Together()
  const first = stack.use(hostAt(0, optionsOf(server.endpoints)))
  const goes = hostAt(1, optionsOf(server.endpoints))
  await complete([first, goes], 'both are there')
  await goes[Symbol.asyncDispose]()
  await server.kill()
  await waitFor(() => first.membership.state.trouble !== undefined, { withinMs: 20_000, what: 'trouble' })
  // Nobody but this one may have the old endpoint: the other is told of it later.
  await server.start()
  await server.ctl('del', keys.host(goes.id))
  await server.ctl('del', keys.claim(goes.claims[0]?.number ?? 0))
  for (let i = 0; i < 20; i++) await server.ctl('put', '/elsewhere', String(i))
  const [, revision = '0'] =
    /"revision":(\d+)/.exec(await server.ctl('get', '/elsewhere', '-w', 'json')) ?? []
  await server.ctl('compact', revision)
  const comes = stack.use(hostAt(2, optionsOf(server.endpoints)))
  await complete([first, comes], 'the new one is there, and the old one gone')
  // A watch from a revision that is compacted says so, and nothing else.
  const ended = new Promise<string>(resolve => {
    first.etcd.watch(keys.all, 1, { events: () => {}, ended: resolve })
  })
  t.match(await ended, /compacted/)
})

t.test('the leader of three is killed: hosts go on with the others', async t => {
  await using server = await etcdServer({ members: 3 })
  await using stack = new Together()
  const hosts = [0, 1].map(n => stack.use(hostAt(n, optionsOf(server.endpoints))))
  await complete(hosts, 'both are there')
  await server.kill(0)
  hosts.push(stack.use(hostAt(2, optionsOf(server.endpoints))))
  await complete(hosts, 'a third one')
  await server.kill(1)
  await waitFor(() => hosts.every(({ membership }) => membership.state.trouble !== undefined), {
    withinMs: 30_000,
    what: 'one of three is no majority',
  })
  t.ok(isComplete(hosts), 'and nobody is forgotten')
  await server.start(1)
  await waitFor(() => hosts.every(({ membership }) => membership.state.trouble === undefined), {
    withinMs: 30_000,
    what: 'two are',
  })
})

t.test(
  'a host that does not come back is gone after its time, and one that has stopped is frozen etcd for nobody',
  async t => {
    await using server = await etcdServer()
    await using stack = new Together()
    const stays = stack.use(hostAt(0, optionsOf(server.endpoints), { routesKeptS: 3, prefixKeptS: 8 }))
    const goes = hostAt(1, optionsOf(server.endpoints), { routesKeptS: 3, prefixKeptS: 8 })
    await complete([stays, goes], 'both are there')
    await goes[Symbol.asyncDispose]()
    await waitFor(() => stays.members.length === 0, { withinMs: 20_000, what: 'its routes go' })
    t.match(
      await server.ctl('get', keys.claim(goes.claims[0]?.number ?? 0)),
      goes.id,
      'its prefix stays longer',
    )
    // Frozen, etcd answers nobody, and connections stay.
    server.signal('SIGSTOP')
    await waitFor(() => stays.membership.state.trouble !== undefined, {
      withinMs: 20_000,
      what: 'it is noticed',
    })
    server.signal('SIGCONT')
    await waitFor(() => stays.membership.state.trouble === undefined, {
      withinMs: 20_000,
      what: 'it goes on',
    })
    await waitFor(
      async () =>
        !(await server.ctl('get', '--prefix', '--keys-only', `${keys.all}claims/`)).includes(
          keys.claim(goes.claims[0]?.number ?? 0),
        ) || numbersOf([stays])[0] === goes.claims[0]?.number,
      { withinMs: 30_000, what: 'its prefix goes' },
    )
  },
)

t.test('a second daemon with the id of one that lives is refused, and the first goes on', async t => {
  await using server = await etcdServer()
  await using stack = new Together()
  const first = stack.use(hostAt(0, optionsOf(server.endpoints)))
  await waitFor(() => first.claims.length > 0, { withinMs: 20_000, what: 'a claim' })
  const twin = stack.use(hostAt(0, optionsOf(server.endpoints), { instance: 'another' }))
  await waitFor(() => /another daemon speaks/.test(twin.membership.state.trouble ?? ''), {
    withinMs: 20_000,
    what: 'a refusal',
  })
  t.equal(twin.claims.length, 0)
  t.equal(first.membership.state.trouble, undefined)
})

t.test('what others wrote into our keys is ignored and said, and nothing else stops', async t => {
  await using server = await etcdServer()
  await using stack = new Together()
  const hosts = [0, 1].map(n => stack.use(hostAt(n, optionsOf(server.endpoints))))
  await complete(hosts, 'both are there')
  const odd = [
    [keys.claim(7), 'x'],
    [keys.claim(8), '{"host":"../../etc"}'],
    [
      `${keys.all}hosts/ffffffffffffffff`,
      '{"name":"evil","addresses":["10.0.0.9"],"mac":"06:00:00:00:00:09","number":7,"instance":"x"}',
    ],
    [
      `${keys.all}hosts/eeeeeeeeeeeeeeee`,
      '{"name":"evil","addresses":["not one"],"mac":"06:00:00:00:00:09","number":7,"instance":"x"}',
    ],
    [`${keys.all}what`, 'ever'],
    [`${keys.all}hosts/../x`, '{}'],
  ] as const
  for (const [key, value] of odd) await server.ctl('put', key, value)
  const first = hosts[0] as Host
  await waitFor(
    () => odd.every(([key]) => first.lines.some(line => line.includes(key) || line.includes(key.slice(-16)))),
    { withinMs: 20_000, what: 'each is named' },
  )
  hosts.push(stack.use(hostAt(2, optionsOf(server.endpoints))))
  await complete(hosts, 'a third one comes')
  t.ok(hosts.every(({ members }) => members.every(({ name }) => name !== 'evil')))
})

t.test('a claim that somebody takes away is taken again', async t => {
  await using server = await etcdServer()
  await using stack = new Together()
  const hosts = [0, 1].map(n => stack.use(hostAt(n, optionsOf(server.endpoints))))
  await complete(hosts, 'both are there')
  const before = numbersOf(hosts)
  await server.ctl('del', '--prefix', keys.all)
  await waitFor(
    async () => (await server.ctl('get', '--prefix', '--keys-only', keys.all)).match(/hosts/g)?.length === 2,
    { withinMs: 20_000, what: 'all is written again' },
  )
  await complete(hosts, 'both know each other')
  t.strictSame(numbersOf(hosts), before)
})

t.test('one that comes to a full network is told so, and nobody else is disturbed', async t => {
  await using server = await etcdServer()
  await using stack = new Together()
  const pools = [{ subnet: parseCidr('10.200.0.0/24'), hostPrefix: 25 }]
  const host = (n: number) => stack.use(hostAt(n, optionsOf(server.endpoints), { pools }))
  const hosts = [0, 1].map(host)
  await complete(hosts, 'both have a prefix')
  const late = host(2)
  await waitFor(() => /all 2 prefixes of the network have a host/.test(late.membership.state.trouble ?? ''), {
    withinMs: 20_000,
    what: 'it is told',
  })
  t.strictSame(late.claims, [])
  t.ok(isComplete(hosts))
  t.strictSame(new Set(numbersOf(hosts)), new Set([0, 1]))
})

t.test('who is not etcd, and who is nobody, is said in words', async t => {
  const web = createServer((_, answer) => answer.end('<html>'))
  const [port = 0, nobody = 0] = await freePorts(2)
  await new Promise<void>(resolve => web.listen(port, '127.0.0.1', resolve))
  t.teardown(() => web.close())
  using wrong = new Etcd(optionsOf([`http://127.0.0.1:${port}`]))
  await t.rejects(wrong.range('/x'), { code: 'io', message: /HTTP 200 and "<html>", not as etcd answers/ })
  using away = new Etcd(optionsOf([`http://127.0.0.1:${nobody}`]))
  await t.rejects(away.range('/x'), { code: 'io', message: /ECONNREFUSED/ })
})

t.test('with TLS, a certificate of its own and a password etcd knows us, and without it refuses', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const at = (name: string) => join(folder, name)
  const openssl = (...words: string[]) => {
    const { status, stderr } = spawnSync('openssl', words, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
  }
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
    '-subj',
    '/CN=ca',
    '-days',
    '2',
  )
  writeFileSync(at('ext'), 'subjectAltName=IP:127.0.0.1\n')
  for (const [name, subject] of [
    ['server', '/CN=server'],
    ['client', '/CN=client'],
    ['nameless', '/O=tsnet'],
  ] as const) {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.csr`),
      '-subj',
      subject,
    )
    openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-out',
      at(`${name}.crt`),
      '-days',
      '2',
      '-extfile',
      at('ext'),
    )
  }
  await using server = await etcdServer({
    scheme: 'https',
    options: [
      '--cert-file',
      at('server.crt'),
      '--key-file',
      at('server.key'),
      '--trusted-ca-file',
      at('ca.crt'),
      '--client-cert-auth',
    ],
  })
  const tls = ['--cacert', at('ca.crt'), '--cert', at('client.crt'), '--key', at('client.key')]
  await waitFor(
    () =>
      server.ctl(...tls, 'endpoint', 'health').then(
        () => true,
        () => false,
      ),
    { withinMs: 20_000, what: 'it is healthy' },
  )
  const options = {
    ...optionsOf(server.endpoints),
    ca: at('ca.crt'),
    cert: at('client.crt'),
    key: at('client.key'),
  }
  using known = new Etcd(options)
  t.ok((await known.range('/x')).revision > 0)
  using stranger = new Etcd({ ...optionsOf(server.endpoints), ca: at('ca.crt') })
  await t.rejects(stranger.range('/x'), { code: 'io' })
  using unsure = new Etcd({ ...options, ca: at('client.crt') })
  await t.rejects(unsure.range('/x'), { code: 'io', message: /self.signed|unable to|certificate/i })

  await server.ctl(...tls, 'user', 'add', 'root:secret')
  await server.ctl(...tls, 'user', 'grant-role', 'root', 'root')
  await server.ctl(...tls, 'auth', 'enable')
  await t.rejects(known.range('/x'), {
    code: 'io',
    message: /CommonName/,
    details: /give "cert" one without/,
  })
  const nameless = { ...options, cert: at('nameless.crt'), key: at('nameless.key') }
  using anonymous = new Etcd(nameless)
  await t.rejects(anonymous.range('/x'), { code: 'io', message: /etcd refuses/ })
  writeFileSync(at('password'), 'wrong\n')
  const named = { ...nameless, user: 'root', passwordFile: at('password') }
  using mistaken = new Etcd(named)
  await t.rejects(mistaken.range('/x'), {
    code: 'io',
    message: /authentication failed/,
    details: /passwordFile/,
  })
  writeFileSync(at('password'), 'secret\n')
  t.ok((await mistaken.range('/x')).revision > 0, 'the file is read again')
  // A token that the server does not know any more.
  await server.kill()
  await server.start()
  await waitFor(
    () =>
      mistaken.range('/x').then(
        () => true,
        () => false,
      ),
    { withinMs: 20_000, what: 'it answers again' },
  )
  t.ok((await mistaken.range('/x')).revision > 0)
})
