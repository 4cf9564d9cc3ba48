/** Numbers for Prometheus: who may ask, by which name, and what is left. */

import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { serveMetrics } from '../../src/daemon/observing/metrics.ts'
import { waitFor } from '../../src/lab/wait.ts'
import { type MetricsAddress, parseMetricsAddress } from '../../src/model/address/metrics-address.ts'

const report = { at: 0, tookMs: 0, generation: 0, isWhole: true, ports: [], containers: [] }

async function open(t: Test, address: MetricsAddress) {
  const said: string[] = []
  let asked = 0
  const counters = () => {
    asked++
    return report
  }
  const metrics = serveMetrics(address, counters, line => said.push(line))
  t.teardown(() => metrics.close())
  const isReady = () => waitFor(() => said.some(line => line.startsWith('metrics at')), { what: 'metrics' })
  return { metrics, said, isReady, asked: () => asked }
}

const ask = (
  where: { socketPath: string } | { host: string; port: number },
  { path = '/metrics', method = 'GET', host }: { path?: string; method?: string; host?: string } = {},
): Promise<{ status: number | undefined; text: string; type: string | undefined }> =>
  new Promise((resolve, reject) => {
    const asking = request({ ...where, path, method, ...(host && { headers: { host } }) }, response => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode, text, type: response.headers['content-type'] }),
      )
    })
    asking.on('error', reject)
    asking.end()
  })

/** One that nobody has at this moment. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

t.test('an address is a path or of loopback, and nothing else', async t => {
  t.strictSame(parseMetricsAddress('/run/m.sock'), { path: '/run/m.sock' })
  t.strictSame(parseMetricsAddress('127.0.0.1:9808'), { host: '127.0.0.1', port: 9808 })
  t.strictSame(parseMetricsAddress('[::1]:9808'), { host: '::1', port: 9808 })
  for (const wrong of [
    '',
    'off',
    '9808',
    '0.0.0.0:9808',
    '192.168.0.1:9808',
    '[::]:9808',
    '::1:9808',
    '[127.0.0.1]:9808',
    'localhost:9808',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    `/${'x'.repeat(107)}`,
    '/run/',
    '/run/a\0b',
  ])
    t.equal(parseMetricsAddress(wrong), undefined, wrong)
})

t.test('on loopback only who asks for the address itself, or localhost, is answered', async t => {
  const port = await freePort()
  const where = { host: '127.0.0.1', port }
  const { isReady, asked } = await open(t, where)
  await isReady()
  const whole = await ask(where)
  t.match(whole, { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: /tsnet_ports 0\n/ })
  t.match(await ask(where, { host: `localhost:${port}` }), { status: 200 })
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost', `127.0.0.2:${port}`])
    t.match(await ask(where, { host }), { status: 403, text: 'this is not who you asked for\n' }, host)
  t.match(await ask(where, { path: '/' }), { status: 404 })
  t.match(await ask(where, { method: 'POST' }), { status: 405 })
  t.match(await ask(where, { method: 'HEAD' }), { status: 200, text: '' })
  t.ok(asked() < 4, 'the answer of a moment ago is given again')
})

t.test('a socket is for its owner alone, and what a killed daemon left of it is taken over', async t => {
  // Short enough for a socket's path.
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-metrics-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'm.sock')
  const before = createServer()
  await new Promise<void>(resolve => before.listen(path, resolve))
  const { isReady, metrics } = await open(t, { path })
  await isReady()
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.match(await ask({ socketPath: path }), { status: 200 })
  metrics.close()
  await waitFor(() => !existsSync(path), { what: 'the socket to be gone' })
  before.close()
})

t.test('what is in the way is said once, and tried again', async t => {
  const port = await freePort()
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(port, '127.0.0.1', resolve))
  const { said, isReady } = await open(t, { host: '127.0.0.1', port })
  await waitFor(() => said.length === 1, { what: 'it to be said' })
  t.match(said[0], new RegExp(`^no metrics at 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`))
  await new Promise(resolve => taken.close(resolve))
  await isReady()
  t.equal(said.length, 2)

  const path = join(t.testdir({}), 'file')
  writeFileSync(path, 'mine')
  const other = await open(t, { path })
  await waitFor(() => other.said.length === 1, { what: 'it to be said' })
  t.ok(existsSync(path), 'a file is left alone')
})
