/** Carries out sheets: one file for `iptables-restore` a family where all is as expected, a look and another where not. */

import type { Family } from '../../model/address/address.ts'
import { restoreFile, type TableName } from '../iptables/document.ts'
import { absentOf, complete, deplete, restore, save, toolName } from '../iptables/run.ts'
import {
  completionOf,
  missingOf,
  optimisticFile,
  readTable,
  removalFileOf,
  type Sheet,
  type TableListing,
} from './reference.ts'

export const listTable = async (family: Family, table: TableName): Promise<TableListing> =>
  readTable(await save(family, table))

interface Options {
  /** For messages. */
  what: string
  /** Nothing of the container is there yet, as far as is known. */
  fresh: boolean
  /** Rules of another attachment in the container's own chains. */
  keep?: readonly string[]
  /** Changes a sheet to what fits a table as it is. */
  fit?: (sheet: Sheet, there: TableListing) => Sheet
}

/**
 * Makes tables what sheets want.
 * @throws TsnetError `missing`, `try-again`, `kernel`
 */
export async function ensureSheets(
  family: Family,
  sheets: readonly Sheet[],
  options: Options,
): Promise<void> {
  const { what, fresh, keep = [], fit = sheet => sheet } = options
  const failure = fresh ? await restore(family, optimisticFile(sheets)) : undefined
  if (fresh && failure === undefined) return
  const look = async () =>
    restoreFile(
      (await listAll(family, sheets)).map(([sheet, there]) => ({
        name: sheet.table,
        lines: completionOf(fit(sheet, there), there, keep),
      })),
    )
  await complete(family, what, look, failure)
}

const listAll = (family: Family, sheets: readonly Sheet[]): Promise<[Sheet, TableListing][]> =>
  Promise.all(sheets.map(async sheet => [sheet, await listTable(family, sheet.table)]))

/**
 * Takes away what sheets have of one container, where all of it is there.
 * @returns false where it is not, and nothing was changed
 */
export const removeSheets = async (
  family: Family,
  sheets: readonly Sheet[],
  alone: boolean,
): Promise<boolean> => (await restore(family, removalFileOf(sheets, alone))) === undefined

/**
 * Looks at a table and deletes what `removal` says, until there is nothing more to delete.
 * @throws TsnetError `missing`, `try-again`, `kernel`
 */
export const removeListed = (
  family: Family,
  table: TableName,
  what: string,
  removal: (there: TableListing) => string[],
): Promise<void> =>
  deplete(family, what, async () =>
    restoreFile([{ name: table, lines: removal(await listTable(family, table)) }]),
  )

/** What a family's tables lack of sheets, and what the container's own chains have too much, in words. */
export async function verifySheets(
  family: Family,
  sheets: readonly Sheet[],
  excess: (sheet: Sheet, there: TableListing) => string[] = () => [],
): Promise<string[]> {
  const name = toolName(family)
  const problems: string[] = []
  for (const [sheet, there] of await listAll(family, sheets)) {
    const { table } = sheet
    const missing = missingOf(sheet, there).map(rule => ({ table, rule }))
    const absent = await absentOf(family, missing)
    problems.push(...absent.map(({ rule }) => `${name}: table ${table} lacks -A ${rule}`))
    if (missing.length === 0) {
      problems.push(...excess(sheet, there).map(rule => `${name}: table ${table} has also -A ${rule}`))
    }
  }
  return problems
}
