/** What there is to install, and what is known of it afterwards: plain values. */

export type Item =
  /** A symbolic link. */
  | { kind: 'link'; path: string; target: string }
  /** `yields`: what somebody else put there stays, and serves in its place; otherwise that is kept aside. */
  | { kind: 'file'; path: string; text: string; mode: number; yields?: boolean }
  /** One key of a JSON file; the others stay as they are. */
  | { kind: 'key'; path: string; key: string; value: string }
  /**
   * Something to run, and what takes it back. Runs again when one of `after` has changed. `asks` changes nothing,
   * and fails where it would fail.
   */
  | { kind: 'command'; command: string[]; back: string[]; after: string[]; asks?: string[] }

/** A file of text. Its bytes travel as latin1, so that those of others stay what they are. */
export const fileItem = (path: string, text: string, mode = 0o644): Item & { kind: 'file' } => ({
  kind: 'file',
  path,
  text: Buffer.from(text).toString('latin1'),
  mode,
})

/** One that people copy, and change to their needs. */
export const sampleItem = (path: string, text: string): Item => ({ ...fileItem(path, text), yields: true })

/** How it is done, and taken back. */
export interface Doing {
  dryRun: boolean
  /** Hears each step before it is done, and what was left alone. */
  say: (line: string) => void
}

/** What was done, as it stands in the record. Paths are without the root. */
export type Entry =
  | { kind: 'link'; path: string; target: string; kept: boolean; folders: string[] }
  | { kind: 'file'; path: string; sha256: string; kept: boolean; folders: string[] }
  /** `before`: the whole text; null where there was no file. */
  | {
      kind: 'key'
      path: string
      key: string
      value: string
      sha256: string
      before: string | null
      folders: string[]
    }
  | { kind: 'command'; command: string[]; back: string[] }

export interface Step {
  item: Item
  entry: Entry
  /** What is at its path is somebody else's, and is kept. */
  keeps: boolean
}

/** Two entries of the same place are one thing. A command is known by what takes it back, if there is that. */
export function placeOf(entry: Entry | Item): string {
  if (entry.kind !== 'command') return entry.path
  const { command, back } = entry
  return back.length > 0 ? `until ${back.join(' ')}` : command.join(' ')
}

/** Where what stood at a path before is kept. */
export const asideOf = (path: string): string => `${path}.before-tsnet`

/** A step in words, such as `link /opt/cni/bin/tsnet -> /srv/tsnet/dist/bin/tsnet`; empty where nothing is done. */
export function describe({ item, keeps }: Step): string {
  const aside = keeps ? `, keeping what is there as ${asideOf(placeOf(item))}` : ''
  switch (item.kind) {
    case 'link':
      return `link ${item.path} -> ${item.target}${aside}`
    case 'file':
      return `write ${item.path}${aside}`
    case 'key':
      return `set ${item.key} in ${item.path}`
    case 'command':
      return item.command.length === 0 ? '' : `run ${item.command.join(' ')}`
  }
}
