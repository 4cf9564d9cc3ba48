/**
 * `npm install` leaves package-lock.json as it is, whichever npm: it says all that npm would add (packages for other
 * systems), and nothing that one of them takes away (npm 10 does not write what C library a package is for).
 */

import { readFileSync } from 'node:fs'
import t from 'tap'

interface Locked {
  optionalDependencies?: Record<string, string>
  libc?: string[]
  resolved?: string
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Record<string, Locked>
}

t.test('packages for other systems are in the lockfile too', async t => {
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages))
    for (const name of Object.keys(optionalDependencies))
      t.ok(
        `${path}/node_modules/${name}` in packages || `node_modules/${name}` in packages,
        `${name} of ${path}`,
      )
})

t.test('no package says what C library it is for, nor from which registry it came', async t => {
  for (const [path, { libc, resolved }] of Object.entries(packages))
    t.strictSame({ libc, resolved }, { libc: undefined, resolved: undefined }, path)
})
