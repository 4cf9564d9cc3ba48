/** A list ordered by last use, for whoever must make room: links in the items themselves, no allocation. */

export interface Linked<Item> {
  older: Item | undefined
  newer: Item | undefined
}

export class Recency<Item extends Linked<Item>> {
  #oldest: Item | undefined
  #newest: Item | undefined

  get oldest(): Item | undefined {
    return this.#oldest
  }

  /** Puts an item that is not in the list at its end. */
  add(item: Item): void {
    item.older = this.#newest
    item.newer = undefined
    if (this.#newest === undefined) this.#oldest = item
    else this.#newest.newer = item
    this.#newest = item
  }

  remove(item: Item): void {
    if (item.older === undefined) this.#oldest = item.newer
    else item.older.newer = item.newer
    if (item.newer === undefined) this.#newest = item.older
    else item.newer.older = item.older
    item.older = undefined
    item.newer = undefined
  }

  /** The item was used just now. */
  touch(item: Item): void {
    if (item === this.#newest) return
    this.remove(item)
    this.add(item)
  }
}
