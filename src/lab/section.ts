/**
 * A part of a snapshot: things by name, each with a description.
 */

export type Section = Readonly<Record<string, string>>

/** Lines as things. The same line several times is one thing, described by how often it stands. */
export function counted(lines: readonly string[]): Section {
  const counts: Record<string, number> = {}
  for (const line of lines) counts[line] = (counts[line] ?? 0) + 1
  return Object.fromEntries(Object.entries(counts).map(([line, n]) => [line, n === 1 ? '' : `${n} times`]))
}
