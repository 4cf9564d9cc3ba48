/** Reports of earlier runs, as `--json` printed them. */

import { readFileSync } from 'node:fs'
import type { Report } from './report.ts'

/** @throws Error that names the file where it holds no reports */
export function readReports(file: string): Report[] {
  const text = readFileSync(file, 'utf8')
  const saved = parse(text)
  if (Array.isArray(saved) && saved.every(isReport)) return saved
  throw new Error(`${file} has no reports in it: it has to be what npm run -s bench -- --json printed`)
}

/** Of two with one title the later stands, where the first was. */
export const merge = (reports: readonly Report[]): Report[] => [
  ...new Map(reports.map(report => [report.title, report])).values(),
]

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isReport = (value: unknown): value is Report =>
  typeof value === 'object' &&
  value !== null &&
  'title' in value &&
  'lines' in value &&
  Array.isArray(value.lines)
