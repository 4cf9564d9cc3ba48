/** Parts of the base table as bytes, in base64. There are some in a bundle; see base-messages.ts. */
export const prepared: Partial<Record<string, { bytes: string; count: number }>> = {}
