/** Values from outside as messages show them: on one line, in quotes, and not more of them than helps. */

const MOST = 80

/**
 * The value as JSON, cut where it is longer.
 * @param most characters, such as of a path, whose end matters
 */
export function shown(value: unknown, most = MOST): string {
  return cut(asJson(value), most)
}

/** A text without quotes, cut where it is longer. */
export const cut = (text: string, most = MOST): string =>
  text.length <= most ? text : `${text.slice(0, most)}…`

/** As shown, but a plain word stands for itself. */
export const shownBare = (value: unknown): string =>
  typeof value === 'string' && /^[\w.[\]-]{1,80}$/.test(value) ? value : shown(value)

/** As much of a path as one reads. */
export const shownPath = (path: string): string => shown(path, 300)

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'nothing'
  } catch {
    // Nested so deep that it cannot be printed.
    return Array.isArray(value) ? '[…' : '{…'
  }
}
