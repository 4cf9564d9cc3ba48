#!/usr/bin/env node
// The launcher where there is no C compiler: the same as launch.c, which says what and why.
'use strict'
const { existsSync, fstatSync, readFileSync, readSync, writeSync } = require('node:fs')
const { basename } = require('node:path')

const STDIN_MAX = 10_000_000
const PATIENCE_MS = 10_000
const LOOK_MS = 500
const LOOKS = 2
const TRY_AGAIN = 11
const { CNI_COMMAND, TSNET_DAEMON, TSNET_RUN_DIR = '/run/tsnet' } = process.env
const path = `${TSNET_RUN_DIR}/call.sock`

// They ask nobody but the daemon.
const COMMANDS = ['publish', 'unpublish', 'ports']
const isMeant = CNI_COMMAND ? hasInput() : COMMANDS.includes(process.argv[2])

if (TSNET_DAEMON !== 'off' && isMeant && existsSync(path)) askDaemon()
else becomeTsnet()

function becomeTsnet(input) {
  // Read again by cni/stdin.ts.
  if (input !== undefined) globalThis[Symbol.for('tsnet stdin')] = input
  const [node, link, ...rest] = process.argv
  process.argv.splice(0, process.argv.length, node, `${__dirname}/tsnet.cjs`, basename(link), ...rest)
  require('./tsnet.cjs')
}

function askDaemon() {
  const daemon = require('node:net').connect(path)
  const answer = []
  let input
  let [waitedMs, seen, stopped] = [0, 0]
  // As in launch.c: one that is stopped is waited for no longer.
  const looking = setInterval(() => {
    waitedMs += LOOK_MS
    const pid = listener()
    seen = isStopped(pid) ? seen + 1 : 0
    if (seen === LOOKS) stopped = pid
    if (stopped !== undefined || (answer.length === 0 && waitedMs >= PATIENCE_MS)) daemon.destroy()
  }, LOOK_MS)
  daemon.on('error', () => {})
  daemon.on('connect', () => {
    // What they begin is finished.
    if (CNI_COMMAND === 'DEL' || CNI_COMMAND === 'GC') {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {})
    }
    try {
      if (CNI_COMMAND) input = readInput()
    } catch {
      return daemon.destroy()
    }
    if (input === undefined) return daemon.write('command 0\n')
    if (input.length >= STDIN_MAX) return daemon.destroy()
    daemon.write(`${input.length}\n`)
    daemon.write(input)
  })
  daemon.on('data', chunk => answer.push(chunk))
  daemon.on('close', () => {
    clearInterval(looking)
    if (CNI_COMMAND && stopped !== undefined && answer.length > 0) return sayStopped(stopped, String(input))
    const whole = Buffer.concat(answer)
    const head = /^tsnet\n(\d+) (\d+) (\d+)\n/.exec(whole.toString('latin1', 0, 64))
    const [begin, code, out, err] = head === null ? [] : [head[0].length, ...head.slice(1).map(Number)]
    if (whole.length !== begin + out + err) return becomeTsnet(input)
    const [stdout, stderr] = [whole.subarray(begin, begin + out), whole.subarray(begin + out)]
    try {
      if (!CNI_COMMAND) writeAll(1, stdout)
      writeAll(2, stderr)
      if (CNI_COMMAND) writeAll(1, stdout)
    } catch (thrown) {
      // A command ends without a word when nobody reads it, as ours does in Node.
      if (CNI_COMMAND) writeAll(2, Buffer.from(`tsnet: stdout: ${thrown.message}\n`))
      process.exit(1)
    }
    process.exit(code)
  })
}

/** Who listens: it bound its socket under a name with its number. Undefined where that is not to be seen. */
function listener() {
  try {
    const names = readFileSync('/proc/net/unix', 'utf8').matchAll(/ (\/.*)\.(\d+)$/gm)
    return [...names].find(([, name]) => name === path)?.[2]
  } catch {
    return undefined
  }
}

function isStopped(pid) {
  try {
    return pid !== undefined && /\) T[^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

function sayStopped(pid, input) {
  const [, cniVersion = '1.1.0'] = /"cniVersion"\s*:\s*"([0-9.]{1,15})"/.exec(input) ?? []
  const what = `the daemon (pid ${pid}) is stopped in the middle of this call`
  const msg = `${what}; continue it (kill -CONT ${pid}), or end it, and try again`
  writeAll(1, Buffer.from(`${JSON.stringify({ cniVersion, code: TRY_AGAIN, msg }, null, 4)}\n`))
  process.exit(1)
}

function hasInput() {
  try {
    return !fstatSync(0).isCharacterDevice()
  } catch {
    return false
  }
}

function readInput() {
  const chunks = []
  for (let length = 0; length < STDIN_MAX; ) {
    const chunk = Buffer.allocUnsafe(65_536)
    const count = patiently(() => readSync(0, chunk))
    if (count === 0) break
    length += count
    chunks.push(chunk.subarray(0, count))
  }
  return Buffer.concat(chunks)
}

function writeAll(fd, bytes) {
  for (let at = 0; at < bytes.length; ) at += patiently(() => writeSync(fd, bytes, at))
}

function patiently(attempt) {
  for (;;) {
    try {
      return attempt()
    } catch (thrown) {
      if (thrown.code === 'EOF') return 0
      if (thrown.code !== 'EAGAIN' && thrown.code !== 'EINTR') throw thrown
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
