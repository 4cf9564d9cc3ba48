/**
 * Side-by-side benchmarks: ours and the peer's turns alternate within one run on one machine, since
 * figures of different runs do not compare.
 *
 *     npm run bench                              all of them
 *     npm run bench -- cni --json                one, for machines
 *     npm run bench -- --rounds 100              more turns
 *     npm run bench -- proxy --only requests     some of the work, by a part of its name
 *     npm run bench -- cni --against ../other    beside another checkout that has been built
 *     npm run bench -- --svg docs/figures.svg    and a chart
 *     npm run -s bench -- cni --json >cni.json   kept
 *     npm run bench -- --from cni.json --from proxy.json --svg docs/figures.svg
 *                                                of kept ones; nothing is measured unless it is named too
 *     npm run -s bench -- --from cni.json --markdown   tables for a document
 *
 * Each runs in a process, a network and a mount namespace of its own; the machine's are not touched.
 */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { drawReports } from './chart/chart.ts'
import { benchCni } from './cni/cni.ts'
import { benchCrowd } from './crowd.ts'
import { benchDocker } from './docker/docker.ts'
import { benchDockerd } from './dockerd.ts'
import { benchEgress } from './egress/egress.ts'
import { benchHosts } from './hosts/hosts.ts'
import { benchIpam } from './ipam.ts'
import { benchListing } from './listing.ts'
import { benchLoopback } from './loopback/loopback.ts'
import { markdownOf } from './markdown.ts'
import { benchMemory } from './memory.ts'
import { benchNames } from './names/names.ts'
import { benchNetavark } from './netavark.ts'
import { benchProxy } from './proxy/proxy.ts'
import { formatReport, type Report, withinBudget } from './report.ts'
import { insideSandbox, rerunInSandbox } from './sandbox.ts'
import { merge, readReports } from './saved.ts'
import { benchScale, benchScaleIptables } from './scale/scale.ts'

interface Bench {
  /**
   * @param only names that work has to contain one of; all of it without, and where a bench has no parts
   * @param against another checkout to measure beside this one, where a bench does so
   */
  run(rounds: number, only?: readonly string[], against?: string): Promise<Report>
  /** Turns unless the command line says otherwise. */
  rounds: number
  /** Whether it can measure another build too. */
  compares?: true
}

const benches: Record<string, Bench> = {
  cni: { run: benchCni, rounds: 40, compares: true },
  crowd: { run: benchCrowd, rounds: 2 },
  docker: { run: benchDocker, rounds: 9 },
  dockerd: { run: benchDockerd, rounds: 2 },
  egress: { run: benchEgress, rounds: 15 },
  hosts: { run: benchHosts, rounds: 3 },
  ipam: { run: benchIpam, rounds: 40 },
  listing: { run: benchListing, rounds: 11 },
  loopback: { run: benchLoopback, rounds: 9 },
  memory: { run: benchMemory, rounds: 3, compares: true },
  names: { run: benchNames, rounds: 9 },
  netavark: { run: benchNetavark, rounds: 20 },
  proxy: { run: benchProxy, rounds: 9 },
  scale: { run: benchScale, rounds: 7 },
  'scale-iptables': { run: benchScaleIptables, rounds: 7 },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: 'string' },
    from: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    svg: { type: 'string' },
  },
})
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
const names = positionals.length > 0 || values.from.length > 0 ? positionals : Object.keys(benches)
const unknown = names.find(name => benches[name] === undefined)
const alone =
  values.against === undefined ? undefined : names.find(name => benches[name]?.compares === undefined)
if (
  alone !== undefined ||
  unknown !== undefined ||
  (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
) {
  console.error(
    `usage: npm run bench -- [${Object.keys(benches).join('|')}] [--rounds N] [--only PART] [--against DIR] [--from FILE]… [--json|--markdown] [--svg FILE]`,
  )
  process.exitCode = 2
} else if (values.against !== undefined && !existsSync(join(values.against, 'dist/bin/tsnet'))) {
  console.error(`no dist/bin/tsnet in ${values.against}: build that checkout first`)
  process.exitCode = 2
} else if (insideSandbox()) {
  const reports: Report[] = []
  for (const name of names) {
    const bench = benches[name]
    if (bench !== undefined)
      reports.push(await bench.run(rounds ?? bench.rounds, values.only?.split(','), values.against))
  }
  console.log(JSON.stringify(reports))
} else {
  // Read first: a name that is wrong is told before minutes of work.
  const saved = values.from.flatMap(readReports)
  const options = [
    ...(rounds === undefined ? [] : ['--rounds', String(rounds)]),
    ...(values.only === undefined ? [] : ['--only', values.only]),
    ...(values.against === undefined ? [] : ['--against', values.against]),
  ]
  const reports = merge([...saved, ...names.flatMap(name => measured(name, options))])
  if (values.json) console.log(JSON.stringify(reports, null, 2))
  else if (values.markdown) for (const report of reports) console.log(markdownOf(report))
  else for (const report of reports) console.log(formatReport(report))
  if (values.svg !== undefined) writeFileSync(values.svg, drawReports(reports))
  if (!reports.every(withinBudget)) process.exitCode = 1
}

/** One that fails does not take along what the others have found. */
function measured(name: string, options: string[]): Report[] {
  try {
    return rerunInSandbox([name, ...options]) as Report[]
  } catch (thrown) {
    process.exitCode = 1
    const notes = [`could not be run: ${thrown instanceof Error ? thrown.message : thrown}`]
    return [{ title: name, unit: '', versions: {}, lines: [], notes }]
  }
}
