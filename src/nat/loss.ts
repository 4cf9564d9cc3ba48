/** What is not there of what should be, and who may have it put back. */

/** Something that is lacking, or is not as it was made. */
export interface Loss {
  /** A sentence. */
  what: string
  /** Whose it is; absent: what all share. */
  owner?: string
}

/**
 * Asked for leave to make what these owners lack, between the look and the change, and without anything awaited after
 * it: whoever is being taken down must get nothing back.
 * @returns those that may have it
 */
export type Hold = (owners: readonly string[]) => ReadonlySet<string>

/** The owners that something lacks of, each once. */
export const losersOf = (losses: readonly Loss[]): string[] => [
  ...new Set(losses.flatMap(({ owner }) => owner ?? [])),
]
