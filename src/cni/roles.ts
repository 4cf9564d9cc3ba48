/**
 * What this executable plays under which name: one table, role → parts that run.
 *
 * A runtime finds a plugin by its `type`, which is a file name; so a link to us decides what we are.
 */

import type { Json } from '../model/json.ts'

export const roles = {
  tsnet: ['bridge', 'ipam', 'nat', 'shaping'],
} as const

export type Role = keyof typeof roles

const isRole = (name: string): name is Role => Object.hasOwn(roles, name)

/**
 * The role of the name that we were called by, else that of the configuration's `type`.
 * @throws TsnetError `unsupported-field`
 */
export function roleOf(calledAs: string, config: Json): Role {
  if (isRole(calledAs)) return calledAs
  const type = config.get('type')
  const name = type.text() ?? ''
  return isRole(name)
    ? name
    : type.refuse(
        `is no plugin of this executable, nor is ${JSON.stringify(calledAs)}`,
        'unsupported-field',
        `it plays: ${Object.keys(roles).join(', ')}`,
      )
}
