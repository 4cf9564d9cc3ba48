/** What people call a container, where all that is known may be a number of 64 digits. */

/** Ids that are made by machines. Their beginnings are enough to find what they mean. */
export const LONG_ID = /^[0-9a-f]{32,}$/

const ID_DIGITS = 12

/** The name for people of what may have none: an id is cut to the digits that Docker shows. */
export const shortName = (name: string): string => (LONG_ID.test(name) ? name.slice(0, ID_DIGITS) : name)
