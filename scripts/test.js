// Runs test files, each in a process of its own, and counts what they report.
//
//   node scripts/test.js pure              all that needs neither root nor other programs
//   node scripts/test.js all               that, and all that needs a real kernel and real clients
//   node scripts/test.js test/ipam/…       these files or folders
//   node scripts/test.js --figures docs/reliability.md …   and writes what they measured into that document
//
// Each file prints TAP. A file that reports nothing, dies or runs out of time counts as a failure. Of one that
// failed everything is shown that did not pass, at once and once more at the end: a log may be cut anywhere.
// The last line is "N passed, N failed".
//
// With TSNET_FAULTS=all in the environment, tests of faults do all that they can, and progress is on stderr.
// A test says what it measured as a comment of TAP: t.comment('figure: what: value'). All of them are shown at the end.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'

const NEEDS_ROOT = ['netns', 'clients', 'faults', 'readme']
// In a virtual machine, and in a browser: npm run test:vm, test:page.
const NO_TESTS = ['support', 'golden', 'vm', 'page']
/** A long form says what it is at. */
const isLong = process.env.TSNET_FAULTS !== undefined
const TIMEOUT_MS = isLong ? 7_200_000 : process.env.TSNET_TEST_VM ? 1_200_000 : 600_000

const wanted = process.argv.slice(2)
const document = wanted[0] === '--figures' ? wanted.splice(0, 2)[1] : undefined
const files = wanted.flatMap(select)
const totals = { passed: 0, failed: 0, skipped: 0 }
const failures = []
/** What was measured → its value and the file. */
const figures = new Map()
const started = Date.now()

const queue = [...files]
// Tests wait for the kernel about a fifth of their time. In a virtual machine they share its own namespaces.
const atOnce = process.env.TSNET_TEST_VM ? 1 : availableParallelism() + 1
await Promise.all(Array.from({ length: atOnce }, work))
if (failures.length > 0) console.log(['', '# What failed:', ...failures, ''].join('\n'))
if (figures.size > 0) console.log(['', '# What was measured:', ...tableOfFigures(), ''].join('\n'))
if (document !== undefined) writeFigures(document)
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
  const child = spawn(process.execPath, [compiled], {
    // tap's own limit, in seconds, would be 30, which a busy machine can take.
    env: { ...env, TAP_TIMEOUT: String(TIMEOUT_MS / 1000) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise(resolve => {
    let output = ''
    const began = Date.now()
    child.stdout.on('data', chunk => {
      output += chunk
      if (isLong) process.stderr.write(progressIn(String(chunk)))
    })
    child.stderr.on('data', chunk => {
      output += chunk
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: code ?? signal, output, seconds: (Date.now() - began) / 1000 })
    })
  })
}

/** Of what has been printed, the lines that say how far it is. */
function progressIn(text) {
  return (text.match(/^ *(?:(?:not )?ok \d+ - .*|# Subtest: .*|# (?:figure|progress): .*)\n/gm) ?? [])
    .filter(line => !/^ +ok/.test(line))
    .join('')
}

/** As rows of Markdown, by file. */
function tableOfFigures() {
  const rows = [...figures].map(([what, { file, value }]) => [what, value, `\`${file}\``])
  rows.sort(([a, , one], [b, , other]) => one.localeCompare(other) || a.localeCompare(b))
  const all = [['what', 'measured', 'by'], ...rows]
  // A formatter wants three dashes at least.
  const widths = [0, 1, 2].map(column => Math.max(3, ...all.map(row => row[column].length)))
  const line = row => `| ${row.map((cell, n) => cell.padEnd(widths[n])).join(' | ')} |`
  return [line(all[0]), `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)]
}

/** Between its two marks, which are comments. */
function writeFigures(path) {
  const marked = /(?<=<!-- figures -->\n).*(?=<!-- \/figures -->)/s
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(marked, () => `\n${tableOfFigures().join('\n')}\n\n`),
  )
}

/** Counts the tests of a file (the top level of its TAP), and shows what failed. */
function report(file, { code, output, seconds }) {
  const count = pattern => output.match(pattern)?.length ?? 0
  const skipped = count(/^ok \d+.*# SKIP/gm)
  const passed = count(/^ok \d+/gm) - skipped
  const failed = count(/^not ok \d+/gm) || (code !== 0 || passed + skipped === 0 ? 1 : 0)
  totals.passed += passed
  totals.failed += failed
  totals.skipped += skipped
  for (const [, what, value] of output.matchAll(/^ *# figure: (.+?): (.+)$/gm))
    figures.set(what, { file, value })
  const sum = `${passed} passed, ${failed} failed, ${seconds.toFixed(1)} s`
  const lines = [failed > 0 ? `FAIL ${file} (${sum}), ended with ${code}` : `ok   ${file} (${sum})`]
  if (failed > 0) lines.push(...(failuresIn(output) || output).trimEnd().split('\n'))
  else lines.push(...output.split('\n').filter(line => /^ok \d+.*# SKIP/.test(line)))
  const text = lines.join('\n    ')
  console.log(text)
  if (failed > 0) failures.push(text)
}

/** TAP without what passed: subtests from heading to `ok`, single assertions, plans and sums; and without what the stack tells. */
function failuresIn(output) {
  return output
    .replace(/^( *)# Subtest: .*\n(?:(?!\1not ok |\1# Subtest: ).*\n)*?\1ok \d+.*\n/gm, '')
    .replace(/^ *(?:ok \d+|1\.\.\d+|# time=|# \{ total|TAP version|$).*\n/gm, '')
    .replace(/^( *)(?:source|at): ?.*\n(?:\1 .*\n)*/gm, '')
    .replace(/^ .*dist\/node_modules\/tap\/.*\n/gm, '')
    .replace(/(dist\/lib\/\S+?\.js):(\d+):(\d+)/g, asWritten)
}

/** A place in what was compiled, as that of its source. Node would do it, and read every map at every start for it. */
function asWritten(place, file, line, column) {
  try {
    const map = new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')))
    const { originalSource, originalLine, originalColumn } = map.findEntry(line - 1, column - 1)
    return `${relative('.', resolve(file, '..', originalSource))}:${originalLine + 1}:${originalColumn + 1}`
  } catch {
    return place
  }
}
