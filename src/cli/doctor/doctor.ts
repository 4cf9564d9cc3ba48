/** `tsnet doctor`. */

import { createInterface } from 'node:readline/promises'
import { describeFix, examine, type Fault, type Fix, mend, sameFix } from '../../doctor/doctor.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import { indented } from '../../model/text/text.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { Told } from '../outcome.ts'
import { paint, type Terminal } from '../terminal.ts'

export interface DoctorOptions {
  json: boolean
  fix: boolean
  yes: boolean
}

/**
 * Prints what is wrong, and mends what is ours where that is asked for.
 * @throws Told where something is wrong, and stays so
 */
export async function doctor(
  terminal: Terminal,
  word: string | undefined,
  { json, fix, yes }: DoctorOptions,
): Promise<void> {
  requireRunDirectory()
  if (yes && !fix) throw new TsnetError('invalid-environment', '--yes is the answer to what --fix asks')
  if (fix && !yes && (json || process.stdin.isTTY !== true))
    throw new TsnetError('invalid-environment', '--fix asks first, and nobody is there to answer: add --yes')
  let faults = await withProgress(terminal, word)
  if (!json) tell(terminal, faults)
  if (fix && (await mendAll(terminal, fixesOf(faults), yes))) {
    faults = await withProgress(terminal, word)
    if (!json) terminal.out(faults.length === 0 ? 'nothing is wrong any more\n' : '\nwhat is left:\n\n')
    if (!json && faults.length > 0) tell(terminal, faults)
  }
  if (json) terminal.out(`${JSON.stringify(faults)}\n`)
  if (faults.length > 0) throw new Told()
}

/** Whoever waits is told for what, every so often. */
const PATIENCE_MS = 1_000

async function withProgress(terminal: Terminal, word: string | undefined): Promise<Fault[]> {
  let pending: readonly string[] = []
  const timer = setInterval(() => {
    if (pending.length > 0) terminal.error(`looking at ${pending.join(', ')} …\n`)
  }, PATIENCE_MS)
  try {
    return await examine(word, names => {
      pending = names
    })
  } finally {
    clearInterval(timer)
  }
}

function tell(terminal: Terminal, faults: readonly Fault[]): void {
  if (faults.length === 0) {
    terminal.out('nothing is wrong\n')
    return
  }
  const { lively, columns } = terminal
  const text = faults.map(({ check, on, what, why, cure, fix }) =>
    [
      indented(
        `${paint(lively, 'red', '✗')} `,
        `${paint(lively, 'bold', on)}: ${what} ${paint(lively, 'dim', `(${check})`)}`,
        columns,
      ),
      indented('  so:  ', why, columns),
      indented('  do:  ', cure, columns),
      ...(fix === undefined ? [] : [indented('  fix: ', `--fix would ${describeFix(fix)}`, columns)]),
    ].join('\n'),
  )
  terminal.out(`${text.join('\n\n')}\n`)
}

const fixesOf = (faults: readonly Fault[]): Fix[] =>
  faults
    .flatMap(({ fix }) => fix ?? [])
    .filter((fix, index, all) => all.findIndex(each => sameFix(each, fix)) === index)

/** @returns false where nothing was done */
async function mendAll(terminal: Terminal, fixes: readonly Fix[], yes: boolean): Promise<boolean> {
  let isDone = false
  for (const fix of fixes) {
    if (!yes && !(await agrees(`${describeFix(fix)}?`))) continue
    try {
      await mend(fix)
      terminal.error(`done: ${describeFix(fix)}\n`)
    } catch (thrown) {
      terminal.error(`tsnet: ${describeFix(fix)}: ${messageOf(thrown)}\n`)
    }
    isDone = true
  }
  return isDone
}

async function agrees(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim())
  } finally {
    lines.close()
  }
}
