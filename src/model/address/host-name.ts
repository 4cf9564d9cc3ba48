/** Names of hosts: RFC 1123, 2.1, and an underscore, which DNS takes and containers have. */

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)
/** RFC 1035, 2.3.4: 255 bytes on the wire. */
const LONGEST = 253

/** True for labels of 1 to 63 letters, digits, `_` and `-`, with dots between them. */
export const isHostName = (text: string): boolean => text.length <= LONGEST && NAME.test(text)
