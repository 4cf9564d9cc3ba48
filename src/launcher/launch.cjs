#!/bin/sh
':' /*
# Node ends without a word where it may open too few files, or is not there: a runtime hears from a shell which it was.
# No process is started for that, and no more than one file is open at a time.
called=$#$1
fail() {
  if [ -z "$CNI_COMMAND" ]; then
    case $called in 1create | 2setup | 2teardown | 1info) printf '{"error":"%s"}\n' "$2"; exit 1 ;; esac
    echo "tsnet: $2" >&2; exit "$3"
  fi
  version=
  while [ -z "$version" ] && { IFS= read -r line || [ -n "$line" ]; }; do
    case $line in *'"cniVersion"'*:*'"'*'"'*)
      version=${line#*'"cniVersion"'} version=${version#*'"'} version=${version%%'"'*} ;;
    esac
  done
  case $version in '' | *[!0-9.]*) version=1.1.0 ;; esac
  printf '{\n    "cniVersion": "%s",\n    "code": %s,\n    "msg": "%s"\n}\n' "$version" "$1" "$2"
  exit 1
}
most=unlimited
while read -r _ kind _ soft hard _; do [ "$kind" = open ] && most=$soft up=$hard; done </proc/self/limits
if [ "$most" != unlimited ] && [ "$most" -lt 64 ]; then
  [ "$up" = unlimited ] || [ "$up" -gt 512 ] && up=512
  ulimit -S -n "$up"
  [ "$up" -ge 64 ] || fail 11 "this process may open $up files, and 64 are needed: raise the limit (ulimit -n, LimitNOFILE)" 1
fi
command -v node >/dev/null || fail 999 'node cannot be started: there is none in PATH' 127
exec node "$0" "$@"
*/
// The launcher where there is no C compiler: the same as launch.c, which says what and why.
'use strict'
const { existsSync, fstatSync, readFileSync, readSync, writeSync } = require('node:fs')
const { basename } = require('node:path')

const STDIN_MAX = 10_000_000
const PATIENCE_MS = 10_000
const CALL_WITHIN_MS = 600_000
const COMMAND_WITHIN_MS = 60_000
const ANSWER_MAX = 300_000_000
const LOOK_MS = 500
const LOOKS = 2
const TRY_AGAIN = 11
const { CNI_COMMAND, TSNET_DAEMON, TSNET_RUN_DIR = '/run/tsnet' } = process.env
const path = `${TSNET_RUN_DIR}/call.sock`

// They ask nobody but the daemon.
const COMMANDS = ['publish', 'unpublish', 'ports', 'ps', 'ls', 'inspect']
// What netavark starts its plugins with.
const PLUGIN_CALLS = { create: 1, setup: 2, teardown: 2, info: 1 }
const words = process.argv.slice(2)
const isPlugins = !CNI_COMMAND && PLUGIN_CALLS[words[0]] === words.length
const isCall = Boolean(CNI_COMMAND) || isPlugins
const isMeant = isCall ? hasInput() : COMMANDS.includes(words[0])

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
  let length = 0
  const askedAt = Math.floor(Date.now() / 1000)
  let input
  let [waitedMs, seen, kept] = [0, 0]
  // As in launch.c: one that does not go on is waited for no longer.
  const looking = setInterval(() => {
    waitedMs += LOOK_MS
    const pid = listener()
    const by = pid === undefined ? 'runs' : stateOf(pid)
    seen = by === 'runs' ? 0 : seen + 1
    if (seen === LOOKS) kept = { pid, by }
    if (isCall && waitedMs >= CALL_WITHIN_MS) kept ??= { pid, by: 'late' }
    const isLate =
      waitedMs >= (answer.length === 0 ? PATIENCE_MS : isCall ? CALL_WITHIN_MS : COMMAND_WITHIN_MS)
    if (kept !== undefined || isLate) daemon.destroy()
  }, LOOK_MS)
  daemon.on('error', () => {})
  daemon.on('connect', () => {
    // What they begin is finished.
    if (['DEL', 'GC', 'teardown'].includes(CNI_COMMAND || words[0])) {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {})
    }
    try {
      if (isCall) input = readInput()
    } catch {
      return daemon.destroy()
    }
    if (input === undefined) return daemon.write('command 0\n')
    if (input.length >= STDIN_MAX) return daemon.destroy()
    daemon.write(`${isPlugins ? 'command ' : ''}${input.length}\n`)
    daemon.write(input)
  })
  daemon.on('data', chunk => {
    answer.push(chunk)
    length += chunk.length
    if (length > ANSWER_MAX) daemon.destroy()
  })
  daemon.on('close', () => {
    clearInterval(looking)
    if (isCall && answer.length > 0 && kept !== undefined && kept.by !== 'gone')
      return sayKept(kept, String(input))
    const whole = Buffer.concat(answer)
    const head = /^tsnet\n(\d+) (\d+) (\d+)\n/.exec(whole.toString('latin1', 0, 64))
    const [begin, code, out, err] = head === null ? [] : [head[0].length, ...head.slice(1).map(Number)]
    if (whole.length !== begin + out + err) {
      if (!isCall && answer.length > 0) process.env.TSNET_ASKED_AT = `${askedAt}`
      return becomeTsnet(input)
    }
    const [stdout, stderr] = [whole.subarray(begin, begin + out), whole.subarray(begin + out)]
    try {
      if (!isCall) writeAll(1, stdout)
      writeAll(2, stderr)
      if (isCall) writeAll(1, stdout)
    } catch (thrown) {
      // A command ends without a word when nobody reads it, as ours does in Node.
      if (isCall) writeAll(2, Buffer.from(`tsnet: stdout: ${thrown.message}\n`))
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

/** As state_of in stopped.c. */
function stateOf(pid) {
  const [, state] = /\) (.)[^)]*$/.exec(textIn(`/proc/${pid}/stat`)) ?? []
  if (state === 'T') return 'stopped'
  if (state === 'Z' || state === 'X' || (state === undefined && existsSync('/proc/self/stat'))) return 'gone'
  return isFrozen(pid) ? 'frozen' : 'runs'
}

function isFrozen(pid) {
  const groups = textIn(`/proc/${pid}/cgroup`)
  const [, first] = /:freezer:(.*)/.exec(groups) ?? []
  const [, second] = /^0::(.*)/m.exec(groups) ?? []
  if (first !== undefined && textIn(`/sys/fs/cgroup/freezer${first}/freezer.state`).includes('FROZEN'))
    return true
  const roots = second === undefined ? [] : ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
  return roots.some(root => textIn(`${root}${second}/cgroup.events`).includes('frozen 1'))
}

function textIn(path) {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function sayKept({ pid, by }, input) {
  const [, cniVersion = '1.1.0'] = /"cniVersion"\s*:\s*"([0-9.]{1,15})"/.exec(input) ?? []
  const remedies = {
    late: `has not answered within ten minutes; look at its log, end it`,
    stopped: `is stopped in the middle of this call; continue it (kill -CONT ${pid}), or end it`,
    frozen: `is frozen in the middle of this call; thaw its control group (see /proc/${pid}/cgroup)`,
  }
  const msg = `the daemon${pid === undefined ? '' : ` (pid ${pid})`} ${remedies[by]}, and try again`
  const error = { cniVersion, code: TRY_AGAIN, msg }
  writeAll(1, Buffer.from(`${isPlugins ? JSON.stringify({ error: msg }) : JSON.stringify(error, null, 4)}\n`))
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
