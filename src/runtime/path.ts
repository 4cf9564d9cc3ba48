/** Paths as texts, read in a time that grows with their length and no faster: a regular expression would try each slash anew. */

/** Without slashes at its end; a path of nothing else keeps one. */
export function withoutEndSlashes(path: string): string {
  let end = path.length
  while (end > 1 && path[end - 1] === '/') end--
  return path.slice(0, end)
}

/** Whether a name fits a pattern, in which `*` stands for any letters and `?` for one. */
export function fitsPattern(name: string, pattern: string): boolean {
  let [at, next] = [0, 0]
  // Where the last star is, and what it has taken so far: an earlier one need not be thought of again.
  let star: { next: number; taken: number } | undefined
  while (at < name.length) {
    if (pattern[next] === '*') star = { next: ++next, taken: at }
    else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === name[at])) {
      at++
      next++
    } else if (star !== undefined) {
      star.taken++
      ;[at, next] = [star.taken, star.next]
    } else return false
  }
  while (pattern[next] === '*') next++
  return next === pattern.length
}
