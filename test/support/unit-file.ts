/** What is said in a systemd unit: `setting('Service', 'Type')`. */

import { readFileSync } from 'node:fs'

export class UnitFile {
  readonly #settings = new Map<string, string>()

  constructor(path: string) {
    let section = ''
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const [, head] = /^\[(\w+)\]$/.exec(line) ?? []
      if (head !== undefined) section = head
      const [, key, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
      if (key !== undefined) this.#settings.set(`${section}.${key}`, value)
    }
  }

  /** @throws Error where it is not said */
  setting(section: string, key: string): string {
    const value = this.#settings.get(`${section}.${key}`)
    if (value === undefined) throw new Error(`there is no ${key} in [${section}]`)
    return value
  }
}
