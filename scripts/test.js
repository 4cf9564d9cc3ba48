// Runs test files, each in a process of its own, and counts what they report.
//
//   node scripts/test.js pure              all that needs neither root nor other programs
//   node scripts/test.js all               that, and all that needs a real kernel and real clients
//   node scripts/test.js test/ipam/…       these files or folders
//
// Each file prints TAP. A file that reports nothing, dies or runs out of time counts as a failure.
// The last line is "N passed, N failed".

import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const NEEDS_ROOT = ['netns', 'clients', 'faults', 'readme']
const NO_TESTS = ['support', 'golden']
const TIMEOUT_MS = 300_000

const wanted = process.argv.slice(2)
const files = wanted.flatMap(select)
const totals = { passed: 0, failed: 0, skipped: 0 }
const started = Date.now()

const queue = [...files]
await Promise.all(Array.from({ length: availableParallelism() }, work))
console.log(`# ${files.length} files in ${((Date.now() - started) / 1000).toFixed(1)} s`)
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`)
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0

function select(argument) {
  if (argument === 'all' || argument === 'pure') {
    const tops = readdirSync('test').filter(top => !NO_TESTS.includes(top))
    return tops
      .filter(top => argument === 'all' || !NEEDS_ROOT.includes(top))
      .flatMap(top => sources(join('test', top)))
  }
  return sources(argument.replace(/\/$/, ''))
}

/** The test files at or below a path, in order. */
function sources(path) {
  if (!statSync(path).isDirectory()) return path.endsWith('.ts') ? [path] : []
  return readdirSync(path)
    .sort()
    .flatMap(name => sources(join(path, name)))
}

async function work() {
  for (;;) {
    const file = queue.shift()
    if (file === undefined) return
    report(file, await run(join('dist/lib', file.replace(/\.ts$/, '.js'))))
  }
}

function run(compiled) {
  // Node parses an extra CA bundle at every start, which costs more than most of our tests.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const child = spawn(process.execPath, ['--enable-source-maps', compiled], {
    // tap's own limit, in seconds, would be 30, which a busy machine can take.
    env: { ...env, TAP_TIMEOUT: String(TIMEOUT_MS / 1000) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise(resolve => {
    let output = ''
    const began = Date.now()
    child.stdout.on('data', chunk => {
      output += chunk
    })
    child.stderr.on('data', chunk => {
      output += chunk
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
    child.on('close', code => {
      clearTimeout(timer)
      resolve({ code, output, seconds: (Date.now() - began) / 1000 })
    })
  })
}

/** Counts the tests of a file (the top level of its TAP), and shows the output of one that failed. */
function report(file, { code, output, seconds }) {
  const count = pattern => output.match(pattern)?.length ?? 0
  const skipped = count(/^ok \d+.*# SKIP/gm)
  const passed = count(/^ok \d+/gm) - skipped
  const failed = count(/^not ok \d+/gm) || (code !== 0 || passed + skipped === 0 ? 1 : 0)
  totals.passed += passed
  totals.failed += failed
  totals.skipped += skipped
  console.log(
    `${failed > 0 ? 'FAIL' : 'ok  '} ${file} (${passed} passed, ${failed} failed, ${seconds.toFixed(1)} s)`,
  )
  if (failed > 0) console.log(output.replace(/^/gm, '    '))
  else for (const [line] of output.matchAll(/^ok \d+.*# SKIP.*/gm)) console.log(`    ${line}`)
}
