/** The plugin as a process: dist/bin/tsnet with questions that change nothing. */

import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { environment } from '../support/cni-call.ts'

const executable = resolve('dist/bin/tsnet')
const PATH = process.env.PATH ?? ''

function run(env: Record<string, string>, input: string | Buffer = '', command = executable) {
  const { status, stdout, stderr } = spawnSync(command, { env: { PATH, ...env }, input, timeout: 30_000 })
  const text = stdout.toString()
  return { status, json: text === '' ? undefined : JSON.parse(text), stderr: stderr.toString() }
}

t.test('VERSION is answered by the executable', async t => {
  t.match(run({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":"0.4.0"}'), {
    status: 0,
    json: { cniVersion: '0.4.0', supportedVersions: ['0.1.0'] },
    stderr: '',
  })
})

t.test('an error is on stdout, stderr stays empty and the exit code is 1', async t => {
  t.match(run(environment, '{'), { status: 1, json: { code: 6 }, stderr: '' })
  t.match(run({ CNI_COMMAND: 'ADD' }), { status: 1, json: { code: 4 }, stderr: '' })
})

t.test('10 MB on stdin are refused, and more are not read', async t => {
  t.match(run(environment, Buffer.alloc(10_000_000, ' ')), {
    status: 1,
    json: { code: 5, msg: /^stdin: more than/ },
  })
  const endless = spawn('sh', ['-c', `yes | ${executable}`], { env: { PATH, ...environment } })
  const chunks: Buffer[] = []
  for await (const chunk of endless.stdout) chunks.push(chunk)
  t.match(JSON.parse(Buffer.concat(chunks).toString()), { code: 5 })
})

t.test('no stdin at all is an error', async t => {
  const { stdout } = spawnSync('sh', ['-c', `exec ${executable} <&-`], { env: { PATH, ...environment } })
  t.match(JSON.parse(stdout.toString()), { code: /^[56]$/ })
})

t.test('stdin that comes in pieces, is read to its end', async t => {
  const child = spawn(executable, { env: { PATH, ...environment }, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.write('{"cniVersion":"0.3.1","name":"front",')
  await waitForReader(child.pid ?? 0)
  child.stdin.end('"mtu":"x"}')
  const chunks: Buffer[] = []
  for await (const chunk of child.stdout) chunks.push(chunk)
  t.match(JSON.parse(Buffer.concat(chunks).toString()), { cniVersion: '0.3.1', code: 7, msg: /^mtu: "x"/ })
})

t.test('stdout that takes nothing is told on stderr, and the call fails', async t => {
  const { status, stderr } = spawnSync('sh', ['-c', `exec ${executable} >/dev/full`], {
    env: { PATH, CNI_COMMAND: 'VERSION' },
    input: '{}',
  })
  t.equal(status, 1)
  t.match(stderr.toString(), /^tsnet: stdout: /)
})

t.test('the executable is found through a link, whose name decides the role', async t => {
  const folder = t.testdir({})
  for (const name of ['tsnet', 'macvlan']) symlinkSync(executable, join(folder, name))
  const env = { ...environment, CNI_COMMAND: 'STATUS' }
  const stdin = '{"cniVersion":"1.1.0","name":"front","type":"macvlan","mtu":"x"}'
  t.match(run(env, stdin, join(folder, 'tsnet')).json, { code: 7, msg: /^mtu/ })
  t.match(run(env, stdin, join(folder, 'macvlan')).json, { code: 2, msg: /^type: "macvlan"/ })
})

t.test('DEL and GC outlive the signals that stop a runtime', async t => {
  for (const CNI_COMMAND of ['DEL', 'GC']) {
    const child = spawn(executable, {
      env: { PATH, ...environment, CNI_COMMAND },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    // By the time it reads, it listens to no signal.
    child.stdin.write('{')
    await waitForReader(child.pid ?? 0)
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE'] as const) child.kill(signal)
    child.stdin.end('"name":"/"}')
    const chunks: Buffer[] = []
    for await (const chunk of child.stdout) chunks.push(chunk)
    t.match(JSON.parse(Buffer.concat(chunks).toString()), { code: 7, msg: /^name: / }, CNI_COMMAND)
  }
})

/** Until the process sleeps in a read of its standard input. */
async function waitForReader(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    const [call, descriptor] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ')
    const reads = process.arch === 'x64' ? '0' : '63'
    if (call === reads && descriptor === '0x0') return
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new Error('it never read')
}
