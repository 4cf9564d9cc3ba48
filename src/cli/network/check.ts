/** `tsnet check`. */

import { type Finding, filesIn, hostOf, type Linted, lintFile } from '../../networks/networks.ts'
import { Told } from '../outcome.ts'
import { paint, type Terminal } from '../terminal.ts'

/**
 * Says what is wrong with network lists, a line for each thing, or that nothing is.
 * @param files none: those of the folder where runtimes look
 * @throws Told where there are errors or warnings
 */
export async function check(
  terminal: Terminal,
  files: readonly string[],
  { confDir, json }: { confDir?: string | undefined; json: boolean },
): Promise<void> {
  const host = hostOf(process.env, confDir)
  const all: Linted[] = []
  for (const file of files.length > 0 ? files : filesIn(host.confDir)) all.push(await lintFile(file, host))
  if (json) terminal.out(`${JSON.stringify(all, null, 2)}\n`)
  else for (const each of all) terminal.out(inLines(each, terminal.lively))
  if (all.some(({ findings }) => findings.some(({ level }) => level !== 'note'))) throw new Told()
}

function inLines({ file, findings }: Linted, isLively: boolean): string {
  const lines = findings.map(({ level, plugin, message }) => {
    const where = plugin === undefined ? '' : ` plugins[${plugin}]:`
    return `${file}: ${paint(isLively, COLOURS[level], `${level}:`)}${where} ${message}\n`
  })
  const isFine = findings.every(({ level }) => level === 'note')
  return [...lines, ...(isFine ? [`${file}: ${paint(isLively, 'green', 'nothing is wrong')}\n`] : [])].join(
    '',
  )
}

const COLOURS: Record<Finding['level'], 'red' | 'yellow' | 'dim'> = {
  error: 'red',
  warning: 'yellow',
  note: 'dim',
}
