/**
 * The launcher in C and the one that is a script, before daemons that answer, refuse, lie and hang. Where
 * no daemon does it, Node does, with the stdin that was read.
 */

import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'

/** Where there is no compiler, they are the same. */
const launchers = { 'the program': resolve('dist/bin/tsnet'), 'the script': resolve('dist/bin/launch.cjs') }

interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

const { PATH = '' } = process.env
const config = '{"cniVersion":"0.3.1"}'
/** What Node answers to that. */
const byNode = /^\{\n {4}"cniVersion": "0\.3\.1",\n {4}"supportedVersions"/

/** Calls VERSION, as a runtime would. */
function call(
  executable: string,
  env: Record<string, string>,
  stdin = config,
  words: string[] = [],
): Promise<Finished> {
  const child = spawn(executable, words, { env: { PATH, CNI_COMMAND: 'VERSION', ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  return new Promise(resolve => child.on('close', code => resolve({ code, stdout, stderr })))
}

/** A run directory with a socket whose connections are dealt with so. @returns the environment that leads there */
async function daemon(t: Test, serve: (socket: Socket) => void): Promise<{ TSNET_RUN_DIR: string }> {
  // Not in t.testdir, whose paths are too long for a socket.
  const folder = mkdtempSync('/tmp/tsnet-launch-')
  const server = createServer(socket => {
    socket.on('error', () => {})
    serve(socket)
  })
  await new Promise<void>(resolve => server.listen(join(folder, 'call.sock'), resolve))
  t.teardown(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })
  return { TSNET_RUN_DIR: folder }
}

/** Hears all that a caller says, up to the length that it announces. */
function hear(socket: Socket, then: (text: string) => void): void {
  let said = ''
  socket.on('data', chunk => {
    said += chunk.toString('latin1')
    const [, length, rest = ''] = /^(\d+)\n(.*)$/s.exec(said) ?? []
    if (rest.length === Number(length)) then(rest)
  })
}

/** The launchers as they are, but that a call or command may take a second; and what becomes Node says since when it asked. */
function hurried(t: Test): Record<string, string> {
  const folder = t.testdir({})
  const script = readFileSync('src/launcher/launch.cjs', 'utf8')
  writeFileSync(
    join(folder, 'launch.cjs'),
    script.replace(/(CALL|COMMAND)_WITHIN_MS = \d+_000/g, '$1_WITHIN_MS = 1_000'),
  )
  writeFileSync(
    join(folder, 'tsnet.cjs'),
    "console.log('Node', process.argv.slice(-1), process.env.TSNET_ASKED_AT)",
  )
  chmodSync(join(folder, 'launch.cjs'), 0o755)
  const sources = readdirSync('src/launcher').filter(name => name.endsWith('.c'))
  const words = ['-DCALL_WITHIN_MS=1000', '-DCOMMAND_WITHIN_MS=1000', '-o', join(folder, 'tsnet')]
  const { status } = spawnSync('cc', [...words, ...sources.map(name => resolve('src/launcher', name))])
  return {
    'the script': join(folder, 'launch.cjs'),
    ...(status === 0 && { 'the program': join(folder, 'tsnet') }),
  }
}

t.test('a daemon that has begun a call and never ends it is not waited for without end', async t => {
  for (const [what, executable] of Object.entries(hurried(t))) {
    const env = await daemon(t, socket => socket.write('tsnet\n'))
    const { code, stdout } = await call(executable, env)
    t.match(
      { what, code, said: JSON.parse(stdout) },
      { what, code: 1, said: { cniVersion: '0.3.1', code: 11, msg: /has not answered within ten minutes/ } },
    )
  }
})

t.test('a daemon that says a little now and then is not waited for without end', async t => {
  for (const [what, executable] of Object.entries(hurried(t))) {
    const env = await daemon(t, socket => {
      socket.write('tsnet\n')
      const talking = setInterval(() => socket.write('0'), 100)
      socket.on('close', () => clearInterval(talking))
    })
    const { code, stdout } = await call(executable, env)
    t.match({ what, code, said: JSON.parse(stdout) }, { what, code: 1, said: { code: 11 } })
  }
})

t.test('a call of netavark that a daemon never ends is answered in the form of netavark', async t => {
  for (const [what, executable] of Object.entries(hurried(t))) {
    const env = await daemon(t, socket => socket.write('tsnet\n'))
    const { code, stdout } = await call(executable, { ...env, CNI_COMMAND: '' }, '{}', [
      'teardown',
      '/run/netns/x',
    ])
    t.match(
      { what, code, said: JSON.parse(stdout) },
      { what, code: 1, said: { error: /has not answered within ten minutes/ } },
    )
  }
})

t.test('a command that a daemon has begun and never ends is asked for by Node', async t => {
  for (const [what, executable] of Object.entries(hurried(t))) {
    const env = await daemon(t, socket => socket.write('tsnet\n'))
    const { code, stdout } = await call(executable, { ...env, CNI_COMMAND: '' }, '', ['ports'])
    t.match({ what, code, stdout }, { what, code: 0, stdout: /^Node \[ 'ports' \] \d{10}\n$/ })
  }
})

for (const [what, executable] of Object.entries(launchers)) {
  t.test(`${what} hands over a call of netavark with its stdin; without a daemon Node answers`, async t => {
    let heard = ''
    const env = await daemon(t, socket => {
      socket.write('tsnet\n')
      socket.on('data', chunk => {
        heard += chunk
        if (heard.endsWith('{"a":1}')) socket.end('0 3 4\nyesoops')
      })
    })
    const words = ['setup', '/run/netns/x']
    const none = { CNI_COMMAND: '' }
    t.same(await call(executable, { ...none, ...env }, '{"a":1}', words), {
      code: 0,
      stdout: 'yes',
      stderr: 'oops',
    })
    t.equal(heard, 'command 7\n{"a":1}')
    const alone = await call(executable, { ...none, TSNET_DAEMON: 'off' }, '{"a":1}', words)
    t.match(
      { ...alone, said: JSON.parse(alone.stdout) },
      { code: 1, stderr: '', said: { error: /is missing/ } },
    )
    const more = await call(executable, { ...none, TSNET_DAEMON: 'off' }, '{}', ['setup', 'a', 'b'])
    t.match(more, { code: 2, stdout: '', stderr: /unknown command/ }, 'other words are a command')
  })

  t.test(`${what} hands over stdin and hands back code, stdout and stderr as they are`, async t => {
    const stdin = Buffer.alloc(3_000_000, 'stdin\n').toString()
    const out = ` \n${'x'.repeat(2_000_000)}\0\n`
    let heard = ''
    const env = await daemon(t, socket => {
      socket.write('tsnet\n')
      hear(socket, text => {
        heard = text
        socket.end(`7 ${out.length} 6\n${out}\nwords`)
      })
    })
    const finished = await call(executable, env, stdin)
    t.ok(heard === stdin, `${heard.length} bytes of stdin`)
    t.ok(finished.stdout === out, `${finished.stdout.length} bytes of stdout`)
    t.match(finished, { code: 7, stderr: '\nwords' })
    heard = 'nothing yet'
    t.match(await call(executable, env, ''), { code: 7 })
    t.equal(heard, '')
  })

  t.test(`${what} through links asks the same daemon`, async t => {
    const env = await daemon(t, socket => hear(socket, () => socket.end('tsnet\n0 2 0\nok')))
    const folder = t.testdir({})
    symlinkSync(executable, join(folder, 'bridge'))
    symlinkSync(join(folder, 'bridge'), join(folder, 'tsnet'))
    t.same(await call(join(folder, 'tsnet'), env), { code: 0, stdout: 'ok', stderr: '' })
    t.match(await call(join(folder, 'tsnet'), { ...env, TSNET_DAEMON: 'off' }), { code: 0, stdout: byNode })
  })

  const answers: Record<string, string> = {
    'closes without a word': '',
    'only says that it begins': 'tsnet\n',
    'dies before stdout': 'tsnet\n0 10 0\n',
    'dies within stdout': 'tsnet\n0 10 0\nhalf',
    'says more than it announces': 'tsnet\n0 1 0\nmore',
    'talks of lengths that are none': 'tsnet\n0 -1 1\n',
    'talks about something else': 'HTTP/1.1 400 Bad Request\r\n\r\n',
  }
  for (const [how, words] of Object.entries(answers)) {
    t.test(`${what} becomes Node when the daemon ${how}`, async t => {
      const env = await daemon(t, socket => hear(socket, () => socket.end(words)))
      t.match(await call(executable, env), { code: 0, stdout: byNode, stderr: '' })
    })
  }

  t.test(`${what} becomes Node when the daemon hangs up at once`, async t => {
    const env = await daemon(t, socket => socket.destroy())
    const stdin = `${config}${' '.repeat(1_000_000)}`
    t.match(await call(executable, env, stdin), { code: 0, stdout: byNode, stderr: '' })
  })

  t.test(`${what} becomes Node where no daemon is, or none is wanted`, async t => {
    const folder = t.testdir({})
    t.match(await call(executable, { TSNET_RUN_DIR: folder }), { code: 0, stdout: byNode })
    writeFileSync(join(folder, 'call.sock'), 'no socket')
    t.match(await call(executable, { TSNET_RUN_DIR: folder }), { code: 0, stdout: byNode })
    t.match(await call(executable, { TSNET_RUN_DIR: `/${'x'.repeat(200)}` }), { code: 0, stdout: byNode })
    let asked = 0
    const env = await daemon(t, () => asked++)
    t.match(await call(executable, { ...env, TSNET_DAEMON: 'off' }), { code: 0, stdout: byNode })
    t.equal(asked, 0)
  })

  t.test(`${what} hands over a command that only asks the daemon, and leaves its stdin alone`, async t => {
    const heard: string[] = []
    const env = await daemon(t, socket => {
      socket.write('tsnet\n')
      socket.on('data', chunk => {
        heard.push(String(chunk))
        socket.end('2 3 5\noutwords')
      })
    })
    for (const command of ['publish', 'unpublish', 'ports']) {
      // It stays open.
      const child = spawn(executable, [command, '8080:80', 'web'], { env: { PATH, ...env } })
      const said = { stdout: '', stderr: '' }
      for (const name of ['stdout', 'stderr'] as const)
        child[name].on('data', chunk => {
          said[name] += chunk
        })
      const closed = new Promise(resolve => child.on('close', resolve))
      const code = await new Promise(resolve => child.on('exit', resolve))
      child.stdin.destroy()
      await closed
      t.same({ code, ...said }, { code: 2, stdout: 'out', stderr: 'words' }, command)
    }
    t.same(
      heard,
      Array.from({ length: 3 }, () => 'command 0\n'),
    )
  })

  t.test(`${what} becomes Node for a command whose daemon knows of calls alone`, async t => {
    // As such a daemon does with what is no length.
    const env = await daemon(t, socket => {
      socket.write('tsnet\n')
      socket.on('data', () => socket.destroy())
    })
    const child = spawn(executable, ['unpublish'], {
      env: { PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    const code = await new Promise(resolve => child.on('close', resolve))
    t.equal(code, 2)
    t.match(stderr, /^tsnet: name the ports and containers to unpublish/)
  })

  t.test(`${what} refuses 10 MB as Node does, without asking`, async t => {
    const env = await daemon(t, socket => hear(socket, () => socket.end('tsnet\n0 2 0\nok')))
    const { code, stdout } = await call(executable, { ...env, CNI_COMMAND: 'STATUS' }, ' '.repeat(10_000_000))
    t.equal(code, 1)
    t.match(JSON.parse(stdout), { code: 5, msg: /^stdin: more than 10000000 bytes/ })
  })
}

t.test('a daemon that is stuck is waited for ten seconds, and one that works longer', async t => {
  const stuck = await daemon(t, () => {})
  const slow = await daemon(t, socket => {
    socket.write('tsnet\n')
    hear(socket, () => setTimeout(() => socket.end('0 2 0\nok'), 11_000))
  })
  const began = performance.now()
  await Promise.all(
    Object.values(launchers).flatMap(executable => [
      call(executable, stuck).then(finished => t.match(finished, { code: 0, stdout: byNode })),
      call(executable, slow).then(finished => t.same(finished, { code: 0, stdout: 'ok', stderr: '' })),
    ]),
  )
  t.ok(performance.now() - began < 20_000)
})
