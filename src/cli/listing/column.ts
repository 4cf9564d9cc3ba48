/** A column of a table, which is a field of templates. */

export interface Column<T> {
  /** In templates: `Network`. */
  field: string
  /** Over the table's column. */
  head: string
  /** Empty where there is nothing to say. */
  cell: (item: T) => string
  /** What the table has then; absent: a dash. */
  empty?: string
  /** Whether the table has it; absent: always. */
  isShown?: (items: readonly T[]) => boolean
}
