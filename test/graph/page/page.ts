/** Who gets the page and who does not, and what clients can cost. */

import { type ClientRequest, get, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { buildGraph } from '../../../src/graph/graph.ts'
import { type Page, servePage } from '../../../src/graph/page/page.ts'
import { waitFor } from '../../../src/lab/lab.ts'
import { crowd, facts } from '../../support/graph.ts'

const FILES = [['', { type: 'text/html; charset=utf-8', bytes: Buffer.from('<p>page</p>') }]] as [
  string,
  { type: string; bytes: Buffer },
][]

const nothing = { graph: async () => buildGraph(facts()), counters: async () => undefined }

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

function ask(
  page: Page,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
) {
  const { hostname, port, pathname } = new URL(page.url)
  return new Promise<Answer>((resolve, reject) => {
    const asked = request({
      hostname,
      port,
      path: path.replace('TOKEN', pathname.split('/')[1] ?? ''),
      method,
      headers,
      agent: false,
    })
    asked.on('error', reject)
    asked.on('response', response => {
      let text = ''
      response.setEncoding('utf8').on('data', data => {
        text += data
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    asked.end()
  })
}

t.test('who has the address gets the page, which may load nothing but itself', async t => {
  await using page = await servePage(0, nothing, FILES)
  t.match(page.url, /^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}\/$/)
  const { status, headers, text } = await ask(page, '/TOKEN/')
  t.match({ status, text }, { status: 200, text: '<p>page</p>' })
  t.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; /)
  t.notMatch(headers['content-security-policy'], /unsafe|\*|data:|https?:/)
  t.match(headers, {
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cache-control': 'no-store',
    'cross-origin-resource-policy': 'same-origin',
  })
  t.notOk('access-control-allow-origin' in headers)
  t.notOk('set-cookie' in headers)
  await using other = await servePage(0, nothing, FILES)
  t.not(new URL(other.url).pathname, new URL(page.url).pathname, 'each time another token')
})

t.test('who has not is refused, whatever he asks for', async t => {
  await using page = await servePage(0, nothing, FILES)
  const token = new URL(page.url).pathname.split('/')[1] ?? ''
  const wrong = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
  const cases: [path: string, status: number, options?: Parameters<typeof ask>[2]][] = [
    ['/', 403],
    ['/events', 403],
    ['/favicon.ico', 403],
    [`/${wrong}/`, 403],
    [`/${token.slice(0, -1)}/`, 403],
    [`/${token}x/events`, 403],
    [`/${token}`, 403],
    [`/${'a'.repeat(4000)}/`, 403],
    ['/TOKEN/%2e%2e/page.js', 404],
    ['/TOKEN/../../etc/passwd', 404],
    ['/TOKEN/__proto__', 404],
    ['/TOKEN/', 405, { method: 'POST' }],
    ['/TOKEN/', 405, { method: 'HEAD' }],
    ['/TOKEN/', 405, { method: 'OPTIONS' }],
    ['/TOKEN/', 405, { method: 'DELETE' }],
    ['/TOKEN/', 421, { headers: { Host: 'evil.example' } }],
    ['/TOKEN/', 421, { headers: { Host: '127.0.0.1.evil.example' } }],
    ['/TOKEN/', 421, { headers: { Host: 'localhost.' } }],
    ['/TOKEN/', 421, { headers: { Host: '127.0.0.1@evil.example' } }],
    ['/TOKEN/', 200, { headers: { Host: 'localhost:9999' } }],
    ['/TOKEN/', 200, { headers: { Host: '[::1]' } }],
  ]
  const answers = await Promise.all(cases.map(([path, , options]) => ask(page, path, options)))
  t.same(
    answers.map(({ status }, index) => [cases[index]?.[0].slice(0, 60), status]),
    cases.map(([path, status]) => [path.slice(0, 60), status]),
  )
  t.notOk(answers.some(({ text }) => text.includes(token)))
})

t.test(
  'what is no request of HTTP, too long or never finished costs a connection for some seconds',
  async t => {
    await using page = await servePage(0, nothing, FILES)
    const port = Number(new URL(page.url).port)
    const say = (text: string) =>
      new Promise<void>(resolve => {
        const socket = connect(port, '127.0.0.1', () => socket.write(text))
        socket.on('close', () => resolve()).on('error', () => {})
        socket.resume()
      })
    await Promise.all([
      say('\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n'),
      say(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
      say('GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n'),
    ])
    t.equal((await ask(page, '/TOKEN/')).status, 200)
  },
)

/** Looks on. */
function watch({
  url,
}: Page): Promise<{ status: number; response: IncomingMessage; asked: ClientRequest } | undefined> {
  return new Promise(resolve => {
    const asked = get(`${url}events`, { agent: false }, response => {
      response.on('error', () => {})
      resolve({ status: response.statusCode ?? 0, response, asked })
    })
    asked.on('error', () => resolve(undefined))
  })
}

t.test('of 200 who want to look on some do, others are told, and the page goes on', async t => {
  await using page = await servePage(0, nothing, FILES)
  const all = await Promise.all(Array.from({ length: 200 }, () => watch(page)))
  const count = (status?: number) => all.filter(each => each?.status === status).length
  t.equal(count(200), 16)
  t.ok(count(503) > 0)
  t.equal(count(200) + count(503) + count(undefined), 200)
  for (const each of all) each?.asked.destroy()
  const again = async () => {
    const one = await watch(page)
    one?.asked.destroy()
    return one?.status === 200
  }
  await waitFor(again, { what: 'room for another' })
  t.equal((await ask(page, '/TOKEN/')).status, 200)
})

t.test('who looks on hears of the picture, and of what goes wrong', async t => {
  let fails = false
  const look = {
    ...nothing,
    graph: async () => {
      if (fails) throw new Error('the kernel\u001b[2J does not answer')
      return buildGraph(facts())
    },
  }
  await using page = await servePage(0, look, FILES)
  const watching = await watch(page)
  let heard = ''
  watching?.response.setEncoding('utf8').on('data', data => {
    heard += data
  })
  await waitFor(() => heard.includes('event: picture'), { what: 'the picture' })
  const [, json = ''] = /event: picture\ndata: (.*)\n\n/.exec(heard) ?? []
  t.match(JSON.parse(json), { width: Number, height: Number, shapes: [{ is: 'box' }] })
  fails = true
  await waitFor(() => heard.includes('does not answer'), { what: 'the trouble' })
  t.match(heard, /event: trouble\ndata: "the kernel\\\\u\{1b\}\[2J does not answer"\n/)
  watching?.asked.destroy()
})

t.test('who does not read holds nobody up, and no more waits for him than one picture', async t => {
  let count = 0
  const look = { ...nothing, graph: async () => buildGraph(crowd(100 + (count++ % 20))) }
  await using page = await servePage(0, look, FILES)
  const { port, pathname } = new URL(page.url)
  const slow: Socket[] = Array.from({ length: 8 }, () => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(`GET ${pathname}events HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      socket.pause()
    })
    return socket.on('error', () => {})
  })
  const watching = await watch(page)
  let heard = 0
  watching?.response.on('data', (data: Buffer) => {
    heard += data.toString().split('event: picture').length - 1
  })
  await waitFor(() => heard > 2, { what: 'three pictures', withinMs: 30_000 })
  for (const socket of slow) socket.destroy()
  watching?.asked.destroy()
  t.pass('others have been told all the while')
})

t.test('a port that somebody has is an error, and one that is left is free at once', async t => {
  const page = await servePage(0, nothing, FILES)
  const port = Number(new URL(page.url).port)
  await t.rejects(servePage(port, nothing, FILES), {
    code: 'conflict',
    message: new RegExp(`${port} is somebody else's`),
  })
  const watching = await watch(page)
  t.equal(watching?.status, 200)
  await page[Symbol.asyncDispose]()
  await using _ = await servePage(port, nothing, FILES)
})
