/**
 * What an ADD, a DEL and a publish write, one after the other as they do it, without the kernel's part; for a test
 * that records the file operations and stops the world after each.
 *
 *     node crash-worker.js FOLDER add|delete|publish|unpublish
 *
 * FOLDER has `run`, the run directory, and `networks`, the leases.
 */

import { crashed } from './crash-steps.ts'

const [folder = '', work = ''] = process.argv.slice(2)
await crashed(folder)[work as 'add'](work.endsWith('publish') ? 'pub' : 'web')
