/** What is said on stderr by this process. */

/** Runs work, and returns what it complained of. */
export function saidBy(work: () => unknown): string {
  const lines: string[] = []
  const before = process.stderr.write
  process.stderr.write = (text: string | Uint8Array) => lines.push(String(text)) > 0
  try {
    work()
  } finally {
    process.stderr.write = before
  }
  return lines.join('')
}
